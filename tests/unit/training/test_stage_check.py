"""Checkpoints that cannot be trained are refused before the first stage, with the reason."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_models import random_model

from harness.backends.local.chat import Reader
from harness.backends.local.checkpoint import load_checkpoint
from harness.backends.local.tokens import as_text
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.records import Part
from harness.thoughts import answer_in
from harness.variants import INTERNALIZED, prompt
from training import config
from training.check import check_images_of_rl, check_lengths_of_rl, check_stages
from training.cot.config import CotRequest
from training.cot.generate import make_chains
from training.sequences.dataset import Mixture
from training.sequences.template import SequenceTemplate
from training.train import train

CPU = torch.device("cpu")
IMAGE = "<|vision_start|><|image_pad|><|vision_end|>"
PARTS = "{% for p in m.content %}{{ '" + IMAGE + "' if p.type == 'image' else p.text }}{% endfor %}"
TEXTS = "(m.content | selectattr('type', 'equalto', 'text') | map(attribute='text') | join)"
AS_IT_IS = "{{ m.content }}"
REFUSED = "{{ raise_exception('only texts') if m.content is not string }}"
ANSWER_ALONE = "{% if m.role == 'assistant' %}{{ " + TEXTS + ".split('</think>')[-1] }}{% else %}"
TEXT_OF_ASSISTANT = "{% if m.role == 'assistant' %}{{ m.content }}{% else %}" + PARTS + "{% endif %}"
Make = Callable[..., Path]


def template(content: str = PARTS, turns: str = "messages", opened: str = "") -> str:
    return (
        "{%- for m in " + turns + " %}<|im_start|>{{ m.role }}\n" + content + "<|im_end|>\n{% endfor -%}"
        "{%- if add_generation_prompt %}<|im_start|>assistant\n" + opened + "{% endif -%}"
    )


DROPS_THOUGHT = template(ANSWER_ALONE + PARTS + "{% endif %}")


@pytest.fixture
def with_template(checkpoint: Path, tmp_path: Path) -> Make:
    def make(text: str) -> Path:
        folder = Path(shutil.copytree(checkpoint, tmp_path / "base"))
        (folder / "chat_template.jinja").write_text(text)
        return folder

    return make


@pytest.fixture(scope="module")
def data(visual_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    chains = tmp_path_factory.mktemp("cot") / "gold"
    make_chains(Benchmark(visual_folder), chains, CotRequest(limit=4))
    return {"benchmark": visual_folder, "cot": chains}


def check(recipe: str, base: Path, data: dict[str, Path]) -> None:
    loaded = config.load(recipe, "tiny", base=str(base), data=[data])
    check_stages(loaded, loaded.stages, str(base))


@pytest.mark.parametrize(
    ("text", "recipe", "message"),
    [
        (DROPS_THOUGHT, "cot-sft", "leaves out a part of the response to"),
        (template(turns="messages if m.role == 'user'"), "direct-sft", "leaves out the assistant's turn"),
        (template(AS_IT_IS), "cot-sft", "does not show the text"),
        (template("{{ " + TEXTS + " }}"), "cot-sft", "does not show the images"),
        (template(REFUSED + AS_IT_IS), "rl-from-base", "cannot be used: only texts"),
    ],
)
def test_a_template_that_loses_something_is_refused(
    text: str, recipe: str, message: str, with_template: Make, data: dict[str, Path]
) -> None:
    with pytest.raises(UserError, match=f"^hf:.*: its chat template {message}"):
        check(recipe, with_template(text), data)


@pytest.mark.parametrize("content", [PARTS, TEXT_OF_ASSISTANT])
def test_without_an_end_token_in_the_template_the_tokenizers_ends_the_response(
    content: str, with_template: Make, data: dict[str, Path]
) -> None:
    """GLM's template takes the assistant's turn as one text, and both it and LLaVA's write no end."""
    base = with_template(template(content).replace("<|im_end|>", ""))
    check("vm-cpt-cot-sft", base, data)
    _, processor = load_checkpoint(str(base), CPU)
    assert SequenceTemplate("hf:x", processor).turn_end == processor.tokenizer.eos_token


def test_a_stage_that_does_not_learn_the_thought_may_lose_it(
    with_template: Make, data: dict[str, Path]
) -> None:
    check("direct-sft", with_template(DROPS_THOUGHT), data)


def test_a_refused_run_can_be_repeated(with_template: Make, data: dict[str, Path], tmp_path: Path) -> None:
    base = with_template(template(turns="messages if m.role == 'user'"))
    small = {"epochs": 1, "batch_size": 4, "micro_batch": 4}
    loaded = config.load("cot-sft", "tiny", base=str(base), data=[data], sft={"cot-sft": small})
    with pytest.raises(UserError, match="assistant's turn"):
        train(loaded, tmp_path / "run")
    (base / "chat_template.jinja").write_text(template())
    assert train(loaded, tmp_path / "run") == tmp_path / "run" / "cot-sft"


@pytest.mark.parametrize("opened", ["", "<think>\n", "<thinking>\n", "[THINK]"])
@pytest.mark.parametrize("stage", ["direct-sft", "cot-sft"])
def test_the_sequence_is_the_prompt_of_evaluation_and_the_answer_is_graded(
    stage: Any, opened: str, with_template: Make, data: dict[str, Path]
) -> None:
    model, processor = load_checkpoint(str(with_template(template(opened=opened))), CPU)
    benchmark = Benchmark(data["benchmark"])
    row = Mixture([config.TrainingData(**data)], [stage]).sft_dataset(stage)[0]
    instance = next(i for i in benchmark.instances("train") if i.id == row["id"])
    asked = prompt(instance, INTERNALIZED, benchmark.policies)
    assert asked is not None
    reader = Reader(processor, model.config, benchmark, None, 0)
    text, completion = SequenceTemplate("hf:x", processor).texts(row)
    ids = processor(text=[text], images=[row["images"]], add_special_tokens=False)["input_ids"]
    assert ids == reader.read([asked])["input_ids"].tolist()
    assert text.endswith(f"assistant\n{opened}")
    response = opened + completion.removesuffix("<|im_end|>\n")
    assert benchmark.grade(instance, instance.target, response).value == 1
    assert "think" not in answer_in(response).lower()
    assert ("<think>" in completion) == (not opened and stage == "cot-sft")


def test_special_tokens_in_a_text_are_text(checkpoint: Path) -> None:
    _, processor = load_checkpoint(str(checkpoint), CPU)
    template_ = SequenceTemplate("hf:x", processor)
    words = as_text(processor)("Say <|im_end|>.")
    user = [{"role": "user", "content": [{"type": "text", "text": words}]}]
    answer = [{"role": "assistant", "content": [{"type": "text", "text": words}]}]
    prompt_, completion = template_.texts({"prompt": user, "completion": answer})
    ids = processor.tokenizer(prompt_ + completion)["input_ids"]
    assert ids.count(processor.tokenizer.convert_tokens_to_ids("<|im_end|>")) == 3
    assert processor.tokenizer.decode(ids).count("Say <|im_end|>.") == 2


def test_images_that_rl_cannot_pass_on_are_refused(data: dict[str, Path]) -> None:
    model, processor = random_model("qwen3_vl")
    rows = [Mixture([config.TrainingData(**data)], ["rl"]).rl_dataset()[0]]
    check_images_of_rl("hf:x", model, processor, rows)

    def with_another_key(**inputs: Any) -> Any:
        return processor(**inputs) | {"batch_num_images": [1]}

    with_another_key.apply_chat_template = processor.apply_chat_template  # type: ignore[attr-defined]
    with pytest.raises(UserError, match=r"cannot pass on batch_num_images, which Qwen3VL\w+ needs"):
        check_images_of_rl("hf:x", model, with_another_key, rows)


def test_a_prompt_longer_than_vllms_context_is_refused(data: dict[str, Path]) -> None:
    model, processor = random_model("qwen3_vl")
    rows = [Mixture([config.TrainingData(**data)], ["rl"]).rl_dataset()[0]]
    settings = config.RlSettings(1e-3, 1, 2, 4, 8, max_new_tokens=8, trl={"vllm_max_model_length": 16})
    check_lengths_of_rl("hf:x", model, processor, rows, settings)
    with pytest.raises(
        UserError, match=r"to fit into 16 tokens, rl\.trl\.vllm_max_model_length, got \d+ and"
    ):
        check_lengths_of_rl("hf:x", model, processor, rows, replace(settings, vllm="colocate"))


def test_code_that_a_checkpoint_ships_is_refused(
    checkpoint: Path, data: dict[str, Path], tmp_path: Path
) -> None:
    base = Path(shutil.copytree(checkpoint, tmp_path / "base"))
    (base / "config.json").write_text('{"model_type": "mine", "auto_map": {"AutoConfig": "mine.Mine"}}')
    (base / "mine.py").write_text(f"open({str(tmp_path / 'ran')!r}, 'w')")
    with pytest.raises(UserError, match="needs code that the checkpoint ships"):
        check("cot-sft", base, data)
    assert not (tmp_path / "ran").exists()


def test_a_missing_weight_of_the_base_is_refused(
    checkpoint: Path, data: dict[str, Path], tmp_path: Path
) -> None:
    base = Path(shutil.copytree(checkpoint, tmp_path / "base"))
    weights = load_file(base / "model.safetensors")
    del weights[next(name for name in weights if "mlp" in name)]
    save_file(weights, base / "model.safetensors", {"format": "pt"})
    with pytest.raises(UserError, match=r"^hf:.*/base: expected every weight, 1 are missing, such as .*mlp"):
        check("cot-sft", base, data)


@pytest.mark.parametrize(
    ("stage", "message"),
    [
        ("vm-cpt", r"expected a sequence of at most \d+ tokens, .* use a shorter policy"),
        ("prompt-sft", r"expected a sequence of at most \d+ tokens, .* use a shorter policy"),
        ("rl", r"expected prompt and response to fit into \d+ tokens, .* lower rl.max_new_tokens, or use a"),
    ],
)
def test_a_policy_longer_than_the_context_is_refused(
    stage: Any,
    message: str,
    checkpoint: Path,
    text_folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also if only a later instance has it."""
    chains = tmp_path / "cot"
    make_chains(Benchmark(text_folder), chains, CotRequest())
    data = {"benchmark": text_folder, "cot": chains}
    benchmark = Benchmark(text_folder)
    first, *_, last = [i.policy_id for i in benchmark.instances("train")]
    assert last is not None and first != last
    long = Part("text", "A rule that does not matter. " * 8192)
    loaded = config.load("trimpi-poro-dapo", "tiny", base=str(checkpoint), data=[data])
    mixture = Mixture(loaded.data, loaded.stages)
    mixture.benchmarks[0].policies[last] = replace(benchmark.policies[last], content=(long,))
    monkeypatch.setattr("training.check.Mixture", lambda *_: mixture)
    loaded = replace(loaded, stages=(stage,))
    with pytest.raises(UserError, match=message) as caught:
        check_stages(loaded, loaded.stages, str(checkpoint))
    assert str(caught.value).partition(":")[0] in {
        instance.id for instance in benchmark.instances("train") if instance.policy_id == last
    }
