"""Language models without images: trained on scenes in words by every stage, and scored again."""

import shutil
from itertools import pairwise
from pathlib import Path

import pytest
import torch
from rollouts import eval_inputs, hash_reward, make_mixture, make_trainer, next_rows, response_logps
from safetensors.torch import load_file
from small_models import text_model

from harness.backends import Sampling
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.files.kinds import RESPONSES
from harness.records import Response
from harness.request import EvalRequest
from harness.run import evaluate
from training import config
from training.cot.config import CotRequest
from training.cot.generate import make_chains
from training.rl import rewards
from training.train import train

SFT = {"epochs": 1, "batch_size": 2, "micro_batch": 2}
RL = {"prompts": 2, "responses": 4, "micro_batch": 8, "max_new_tokens": 4, "max_steps": 1, "warmup_steps": 0}
# Takes a message as one text, like most templates for text.
TEMPLATE = (
    "{% for m in messages %}{{ '<|im_start|>' + m.role + '\n' + m.content + '<|im_end|>\n' }}{% endfor %}"
    "{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


@pytest.fixture(scope="module")
def data(words_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    return with_chains(words_folder, tmp_path_factory.mktemp("cot") / "gold")


def with_chains(benchmark: Path, chains: Path) -> dict[str, Path]:
    make_chains(Benchmark(benchmark), chains, CotRequest(limit=2))
    return {"benchmark": benchmark, "cot": chains}


@pytest.fixture(scope="module")
def chat_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Random weights."""
    return text_model(tmp_path_factory.mktemp("checkpoints") / "text", TEMPLATE)


@pytest.fixture
def model(request: pytest.FixtureRequest, chat_model: Path, tmp_path: Path) -> Path:
    """The checkpoint, or without its chat template."""
    folder = tmp_path / "model"
    without = shutil.ignore_patterns("chat_template*") if request.param == "base" else None
    return Path(shutil.copytree(chat_model, folder, ignore=without))


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes one step of RL change weights: no answer of a random model is right. Leaves out the curves."""
    monkeypatch.setattr(rewards, "reward_functions", lambda *_: [hash_reward, hash_reward])
    monkeypatch.setattr("training.curves.page.write_curves", lambda *_: None)


@pytest.mark.parametrize("model", ["chat", "base"], indirect=True)
@pytest.mark.parametrize("recipe", ["trimpi-poro-dapo", "cot-sft-opcd"])
def test_every_stage_trains_and_the_result_is_scored(
    recipe: str, model: Path, data: dict[str, Path], tmp_path: Path
) -> None:
    run = tmp_path / "run"
    settings = config.load(recipe, "tiny", base=str(model), data=[data], rl=RL)
    sft = {stage: SFT | {"lora_rank": 2} for stage in settings.sft}
    train(config.load(recipe, "tiny", base=str(model), data=[data], sft=sft, rl=RL), run)
    folders = [model, *(run / stage for stage in settings.stages)]
    weights = [load_file(folder / "model.safetensors") for folder in folders]
    for before, after in pairwise(weights):
        assert before.keys() == after.keys() and any(not before[n].equal(after[n]) for n in before)
    request = EvalRequest(f"hf:{run / 'rl'}", Sampling(max_new_tokens=4), limit=1, batch_check=False)
    evaluate(Benchmark(data["benchmark"]), request, tmp_path / "scored")
    errors = [response.error for response in store.read_lines(tmp_path / "scored" / RESPONSES, Response)]
    assert errors == [None] * 3


def test_images_are_refused_before_anything_is_trained(
    chat_model: Path, text_folder: Path, tmp_path: Path
) -> None:
    data = with_chains(text_folder, tmp_path / "chains")
    recipe = config.load("cot-sft", "tiny", base=str(chat_model), data=[data])
    with pytest.raises(UserError, match=r"^hf:.*text: expected a vision-language checkpoint for prompts"):
        train(recipe, tmp_path / "run")
    assert not list((tmp_path / "run").glob("*/config.json"))


def test_rollouts_are_scored_as_the_harness_reads_the_question(
    chat_model: Path, words_folder: Path, tmp_path: Path
) -> None:
    mixture = make_mixture(words_folder)
    trainer = make_trainer(chat_model, mixture, tmp_path / "work", num_iterations=2)
    rows = next_rows(trainer)
    output = trainer._generate_and_score_completions(rows)
    for place, row in enumerate(rows):
        mask = output["completion_mask"][place] == 1
        response = output["completion_ids"][place][mask].tolist()
        inputs = eval_inputs(trainer, mixture, row, with_policy=False)
        with torch.no_grad():
            own = response_logps(trainer.model, inputs, response)
        assert torch.allclose(output["old_per_token_logps"][place][: len(response)], own, atol=1e-4)
