"""Every stock model family, from a folder: scored, trained by all stages of TriMPI, and scored again."""

import json
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from model_families import documented, table
from rollouts import eval_inputs, hash_reward, make_mixture, make_trainer, next_rows, response_logps
from safetensors.torch import load_file
from zoo import FAMILIES, STAGES, YES, Family

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


@pytest.fixture(scope="module")
def data(visual_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Policies with pictures, so a prompt may contain several images."""
    chains = tmp_path_factory.mktemp("cot") / "gold"
    make_chains(Benchmark(visual_folder), chains, CotRequest(limit=2))
    return {"benchmark": visual_folder, "cot": chains}


@pytest.fixture(autouse=True)
def short(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes one step of RL change weights: no answer of a random model is right. Writes no pages."""
    monkeypatch.setattr(rewards, "reward_functions", lambda *_: [hash_reward, hash_reward])
    monkeypatch.setattr("training.curves.page.write_curves", lambda *_: None)
    monkeypatch.setattr("harness.run.write_report", lambda *_: None)


def score(model: Path, data: dict[str, Path], out: Path) -> None:
    request = EvalRequest(f"hf:{model}", limit=1, sampling=Sampling(max_new_tokens=4), batch_check=False)
    evaluate(Benchmark(data["benchmark"]), request, out)
    errors = [response.error for response in store.read_lines(out / RESPONSES, Response)]
    assert errors == [None] * 3


def missing(family: Family) -> list[str]:
    return [package for package in family.needs if find_spec(package) is None]


def changed(before: Path, after: Path) -> set[str]:
    old, new = (load_file(folder / "model.safetensors") for folder in (before, after))
    assert old.keys() == new.keys()
    return {name for name in old if not old[name].equal(new[name])}


@pytest.mark.parametrize("name", FAMILIES)
def test_a_family_is_scored_and_trained_or_refused(
    name: str, data: dict[str, Path], tmp_path: Path, record_property: Callable[[str, object], None]
) -> None:
    family, base = FAMILIES[name], tmp_path / "base"
    family.save(base)
    if packages := missing(family):
        with pytest.raises(UserError, match=f"its processor needs {packages[0]}.*\\[vision\\]"):
            score(base, data, tmp_path / "before")
        return
    score(base, data, tmp_path / "before")
    train_ = all_stages_refused if family.refused else all_stages_trained
    outcome = {"scored": YES} | train_(base, data, tmp_path)
    # `make test-zoo` writes the table of docs/training.md from this.
    record_property(name, json.dumps(outcome))
    assert outcome == family.outcome


def recipe(base: Path, data: dict[str, Path], *stages: str) -> config.Recipe:
    sft = {"vm-cpt": SFT, "cot-sft": SFT | {"lora_rank": 2}}
    return config.load("trimpi-poro-grpo", "tiny", base=str(base), data=[data], sft=sft, rl=RL, stages=stages)


def all_stages_trained(base: Path, data: dict[str, Path], out: Path) -> dict[str, str]:
    run = out / "run"
    train(recipe(base, data, *STAGES), run)
    # Only LoRA leaves the vision tower as it is.
    assert changed(base, run / "vm-cpt") > changed(run / "vm-cpt", run / "cot-sft") > set()
    assert changed(run / "cot-sft", run / "rl")
    score(run / "rl", data, out / "after")
    return dict.fromkeys(STAGES, YES)


def all_stages_refused(base: Path, data: dict[str, Path], out: Path) -> dict[str, str]:
    """TriMPI is refused before its first stage. Returns which stages are trained when they are alone."""
    with pytest.raises(UserError, match=r"^hf:.*TRL"):
        train(recipe(base, data, *STAGES), out / "run")
    assert not (out / "run" / "vm-cpt").exists()
    return {stage: trained_or_refusal(base, data, stage, out / stage) for stage in STAGES}


def trained_or_refusal(base: Path, data: dict[str, Path], stage: str, out: Path) -> str:
    try:
        assert changed(base, train(recipe(base, data, stage), out))
    except UserError as error:
        # Without what it says to do.
        return str(error).removeprefix(f"hf:{base}: ").partition("; ")[0]
    return YES


def test_the_docs_have_the_outcomes() -> None:
    """If this fails, run make test-zoo, which writes the table."""
    assert documented() == table({name: family.outcome for name, family in FAMILIES.items()})


@pytest.mark.parametrize("name", [n for n, family in FAMILIES.items() if not family.refused])
def test_rollouts_are_scored_as_the_harness_reads_question_and_image(
    name: str, visual_folder: Path, tmp_path: Path
) -> None:
    """TRL cuts the images of a batch into passes in another way for each family."""
    if missing(FAMILIES[name]):
        pytest.skip("its processor needs packages of the extra [vision]; make test-zoo has them")
    FAMILIES[name].save(tmp_path / "base")
    mixture = make_mixture(visual_folder)
    trainer = make_trainer(tmp_path / "base", mixture, tmp_path / "work", num_iterations=2)
    rows = next_rows(trainer)
    output = trainer._generate_and_score_completions(rows)
    for place, row in enumerate(rows):
        response = output["completion_ids"][place][output["completion_mask"][place] == 1].tolist()
        with torch.no_grad():
            own = response_logps(
                trainer.model, eval_inputs(trainer, mixture, row, with_policy=False), response
            )
        assert torch.allclose(output["old_per_token_logps"][place][: len(response)], own, atol=1e-4)
