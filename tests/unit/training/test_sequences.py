"""Tokens and mask of each stage, and prompts that equal the prompts of the harness."""

from operator import eq, ge
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import get_peft_model
from small_models import OTHERS, random_model

from harness import variants
from harness.backends.local.chat import Reader, placeholders
from harness.backends.local.checkpoint import load_checkpoint
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from training.checkpoints.lora import lora_config
from training.config import SftSettings, TrainingData
from training.cot.config import CotRequest
from training.cot.generate import make_chains
from training.sequences.collate import IGNORED, MaskingCollator
from training.sequences.dataset import SEQUENCE_FORMATS, Mixture, sequences_per_epoch
from training.sequences.template import SequenceTemplate

# Model and processor.
Loaded = tuple[Any, Any]
STAGES = sorted(SEQUENCE_FORMATS)


@pytest.fixture(scope="module")
def loaded(checkpoint: Path) -> Loaded:
    return load_checkpoint(str(checkpoint), torch.device("cpu"))


@pytest.fixture(scope="module", params=["text_folder", "visual_folder", "rules_folder"])
def data(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    folder = request.getfixturevalue(request.param)
    chains = tmp_path_factory.mktemp("chains") / request.param
    make_chains(Benchmark(folder), chains, CotRequest(limit=4))
    return TrainingData(folder, chains)


def collated(stage: Any, data: TrainingData, loaded: Loaded, limit: int | None = None) -> tuple[Any, Any]:
    """The first rows of a stage, and their batch."""
    model, processor = loaded
    rows = Mixture([data], [stage]).sft_dataset(stage)
    rows = [rows[i] for i in range(min(4, len(rows)))]
    visual = placeholders(model.config, processor)
    template = SequenceTemplate("hf:x", processor)
    collate = MaskingCollator(template, visual, limit)
    return rows, collate([dict(row) for row in rows])


def decode(ids: torch.Tensor | list[int], processor: Any) -> str:
    return str(processor.tokenizer.decode(ids))


@pytest.mark.parametrize("stage", STAGES)
def test_the_prompt_equals_the_harness_prompt(stage: Any, data: TrainingData, loaded: Loaded) -> None:
    model, processor = loaded
    rows, batch = collated(stage, data, loaded)
    benchmark = Benchmark(data.benchmark)
    instances = {i.id: i for i in benchmark.instances("train")}
    reader = Reader(processor, model.config, benchmark, None, 0)
    for i, row in enumerate(rows):
        prompt = variants.prompt(instances[row["id"]], SEQUENCE_FORMATS[stage].variant, benchmark.policies)
        prompt_ids = reader.read([prompt])["input_ids"][0]
        ids = batch["input_ids"][i][batch["attention_mask"][i] == 1]
        assert torch.equal(ids[: len(prompt_ids)], prompt_ids)
        answer = decode(ids[len(prompt_ids) :], processor)
        assert answer == row["completion"][0]["content"][0]["text"] + "<|im_end|>\n"


def test_pretraining_learns_every_token_except_visual_ones(data: TrainingData, loaded: Loaded) -> None:
    rows, batch = collated("vm-cpt", data, loaded)
    visual = torch.isin(batch["input_ids"], torch.tensor(sorted(placeholders(loaded[0].config, loaded[1]))))
    padding = batch["attention_mask"] == 0
    assert visual.any() == any(row["images"] for row in rows)
    assert torch.equal(batch["labels"] == IGNORED, visual | padding)
    learned = batch["labels"] != IGNORED
    assert torch.equal(batch["labels"][learned], batch["input_ids"][learned])


@pytest.mark.parametrize("architecture", ["llava", "idefics3"])
def test_image_marks_of_other_architectures_are_not_learned(architecture: str, data: TrainingData) -> None:
    """Idefics3 has special tokens before each tile of an image, which its config does not name."""
    _, processor = model = random_model(architecture)
    processor.chat_template = (
        "{% for message in messages %}{{ message.role }}: {% for part in message.content %}"
        "{% if part.type == 'image' %}" + processor.image_token + "{% else %}{{ part.text }}{% endif %}"
        "{% endfor %}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
    )
    rows, batch = collated("vm-cpt", data, model)
    for row, labels in zip(rows, batch["labels"], strict=True):
        learned = labels[labels != IGNORED].tolist()
        # The template has no end token, so the tokenizer's ends the sequence.
        end = processor.tokenizer.eos_token_id
        assert set(learned) & set(processor.tokenizer.all_special_ids) == {end}
        assert learned[-1] == end
        assert row["completion"][0]["content"][0]["text"] in decode(learned, processor)


@pytest.mark.parametrize("architecture", OTHERS)
def test_an_adapter_changes_only_the_language_model(architecture: str) -> None:
    settings = SftSettings(learning_rate=1, epochs=1, batch_size=1, micro_batch=1, lora_rank=2)
    model, _ = random_model(architecture)
    model = get_peft_model(model, lora_config(settings, model))
    adapted = [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert adapted
    assert all("language_model" in name or "text_model" in name for name in adapted)


def test_pretraining_learns_policy_query_reasoning_and_answer(data: TrainingData, loaded: Loaded) -> None:
    rows, batch = collated("vm-cpt", data, loaded)
    benchmark = Benchmark(data.benchmark)
    instances = {i.id: i for i in benchmark.instances("train")}
    for row, labels in zip(rows, batch["labels"], strict=True):
        learned = decode(labels[labels != IGNORED], loaded[1])
        instance = instances[row["id"]]
        texts = [p.value for p in benchmark.policies[instance.policy_id or ""].content if p.kind == "text"]
        texts += [p.value for p in instance.query if p.kind == "text"]
        texts += [row["completion"][0]["content"][0]["text"]]
        assert all(text in learned for text in texts)


@pytest.mark.parametrize("stage", [stage for stage in STAGES if not SEQUENCE_FORMATS[stage].prompt_loss])
def test_other_stages_learn_only_the_response(stage: Any, data: TrainingData, loaded: Loaded) -> None:
    rows, batch = collated(stage, data, loaded)
    for row, labels in zip(rows, batch["labels"], strict=True):
        learned = decode(labels[labels != IGNORED], loaded[1])
        assert learned == row["completion"][0]["content"][0]["text"] + "<|im_end|>\n"
        assert ("<think>" in learned) == SEQUENCE_FORMATS[stage].chain_of_thought


def test_a_sequence_that_does_not_fit_is_an_error(data: TrainingData, loaded: Loaded) -> None:
    rows, batch = collated("vm-cpt", data, loaded)
    longest = int(batch["attention_mask"].sum(1).max())
    collated("vm-cpt", data, loaded, limit=longest)
    with pytest.raises(UserError, match=f"at most {longest - 1} tokens.*got {longest}") as caught:
        collated("vm-cpt", data, loaded, limit=longest - 1)
    assert str(caught.value).partition(":")[0] in {row["id"] for row in rows}


def test_rollouts_have_prompts_with_and_without_the_policy(data: TrainingData) -> None:
    mixture = Mixture([data], ["rl"])
    row = mixture.rl_dataset()[0]
    benchmark = mixture.benchmarks[0]
    policy = benchmark.policies[mixture.instances[0][row["instance"]].policy_id or ""]
    parts = list(row["policy_prompt"][0]["content"])
    assert parts[len(policy.content) :] == list(row["prompt"][0]["content"])
    assert [part["type"] for part in parts[: len(policy.content)]] == [part.kind for part in policy.content]
    assert len(row["policy_images"]) == sum(part["type"] == "image" for part in parts)
    assert len(row["images"]) == sum(part["type"] == "image" for part in row["prompt"][0]["content"])


def test_missing_chains_are_an_error(text_folder: Path) -> None:
    with pytest.raises(UserError, match=r"trimpi cot .* --cot OUT"):
        Mixture([TrainingData(text_folder)], ["vm-cpt", "rl"])


def test_a_mixture_follows_the_weights(text_folder: Path, visual_folder: Path) -> None:
    data = [TrainingData(text_folder, weight=3), TrainingData(visual_folder, weight=1)]
    mixture = Mixture(data, ["rl"])
    rows = mixture.rl_dataset()
    indices = [rows[i]["benchmark"] for i in range(len(rows))]
    assert (indices.count(0), indices.count(1)) == (24, 8)
    for index, instances in enumerate(mixture.instances):
        assert {row["instance"] for row in rows if row["benchmark"] == index} == set(instances)


@given(st.lists(st.tuples(st.integers(1, 1000), st.floats(0.01, 100)), min_size=1, max_size=5))
def test_sequences_per_epoch_follow_the_weights(benchmarks: list[tuple[int, float]]) -> None:
    counts, weights = [c for c, _ in benchmarks], [w for _, w in benchmarks]
    sequences = sequences_per_epoch(counts, weights)
    assert all(
        abs(count - sum(sequences) * weight / sum(weights)) <= len(counts)
        for count, weight in zip(sequences, weights, strict=True)
    )
    # None is left out, and one of them is not repeated.
    assert all(map(ge, sequences, counts)) and any(map(eq, sequences, counts))
    assert sequences_per_epoch(counts, [None] * len(counts)) == counts
