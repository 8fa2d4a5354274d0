"""What each stage learns: its tokens and its mask; and that training asks as the harness does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from peft import get_peft_model
from small_models import OTHERS, random_model

from harness import variants
from harness.backends.chat import Reader, placeholders
from harness.backends.checkpoint import load_checkpoint
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from training.collate import IGNORED, Collator
from training.config import Data, Sft
from training.cot import generate
from training.cot.generate import Cot
from training.dataset import KINDS, Mixture, shares
from training.stages import _adapter

STAGES = sorted(KINDS)


@pytest.fixture(scope="module")
def loaded(checkpoint: Path) -> tuple[Any, Any]:
    return load_checkpoint(str(checkpoint), torch.device("cpu"))


@pytest.fixture(scope="module", params=["text_folder", "visual_folder", "rules_folder"])
def data(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Data:
    folder = request.getfixturevalue(request.param)
    chains = tmp_path_factory.mktemp("chains") / request.param
    generate.make(Benchmark(folder), chains, Cot(limit=4))
    return Data(folder, chains)


def collated(stage: str, data: Data, loaded: tuple[Any, Any], limit: int | None = None) -> tuple[Any, Any]:
    model, processor = loaded
    rows = Mixture([data], reasoned=KINDS[stage].reasoned).supervised(stage)
    rows = [rows[i] for i in range(min(4, len(rows)))]
    collate = Collator(processor, KINDS[stage].whole, placeholders(model.config, processor), limit)
    return rows, collate([dict(row) for row in rows])


def read(ids: torch.Tensor | list[int], processor: Any) -> str:
    return str(processor.tokenizer.decode(ids))


@pytest.mark.parametrize("stage", STAGES)
def test_the_prompt_is_the_one_that_the_harness_asks(stage: str, data: Data, loaded: tuple[Any, Any]) -> None:
    model, processor = loaded
    rows, batch = collated(stage, data, loaded)
    benchmark = Benchmark(data.benchmark)
    instances = {i.id: i for i in benchmark.instances("train")}
    reader = Reader(processor, model.config, benchmark, None, 0)
    for i, row in enumerate(rows):
        prompt = variants.prompt(instances[row["id"]], KINDS[stage].variant, benchmark.policies)
        asked = reader.read([prompt])["input_ids"][0]
        kept = batch["input_ids"][i][batch["attention_mask"][i] == 1]
        assert torch.equal(kept[: len(asked)], asked)
        answer = read(kept[len(asked) :], processor)
        assert answer == row["completion"][0]["content"][0]["text"] + "<|im_end|>\n"


def test_pretraining_learns_every_token_but_the_visual_ones(data: Data, loaded: tuple[Any, Any]) -> None:
    rows, batch = collated("vm-cpt", data, loaded)
    visual = torch.isin(batch["input_ids"], torch.tensor(sorted(placeholders(loaded[0].config, loaded[1]))))
    padding = batch["attention_mask"] == 0
    assert visual.any() == any(row["images"] for row in rows)
    assert torch.equal(batch["labels"] == IGNORED, visual | padding)
    learned = batch["labels"] != IGNORED
    assert torch.equal(batch["labels"][learned], batch["input_ids"][learned])


@pytest.mark.parametrize("architecture", ["llava", "idefics3"])
def test_other_families_marks_of_pictures_are_not_learned(architecture: str, data: Data) -> None:
    """Idefics3 writes special tokens before each tile of a picture, of which its config says nothing."""
    _, processor = model = random_model(architecture)
    processor.chat_template = (
        "{% for message in messages %}{{ message.role }}: {% for part in message.content %}"
        "{% if part.type == 'image' %}" + processor.image_token + "{% else %}{{ part.text }}{% endif %}"
        "{% endfor %}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"
    )
    rows, batch = collated("vm-cpt", data, model)
    for row, labels in zip(rows, batch["labels"], strict=True):
        kept = labels[labels != IGNORED].tolist()
        assert not set(kept) & set(processor.tokenizer.all_special_ids)
        assert row["completion"][0]["content"][0]["text"] in read(kept, processor)


@pytest.mark.parametrize("architecture", OTHERS)
def test_an_adapter_touches_the_language_model_alone(architecture: str) -> None:
    asked = _adapter(Sft(learning_rate=1, epochs=1, batch_size=1, micro_batch=1, lora_rank=2))
    model = get_peft_model(random_model(architecture)[0], asked)
    adapted = [name for name, weight in model.named_parameters() if weight.requires_grad]
    assert adapted
    assert all("language_model" in name or "text_model" in name for name in adapted)


def test_pretraining_reads_policy_query_reasoning_and_answer(data: Data, loaded: tuple[Any, Any]) -> None:
    rows, batch = collated("vm-cpt", data, loaded)
    benchmark = Benchmark(data.benchmark)
    instances = {i.id: i for i in benchmark.instances("train")}
    for row, labels in zip(rows, batch["labels"], strict=True):
        learned = read(labels[labels != IGNORED], loaded[1])
        instance = instances[row["id"]]
        texts = [p.value for p in benchmark.policies[instance.policy_id or ""].content if p.kind == "text"]
        texts += [p.value for p in instance.query if p.kind == "text"]
        texts += [row["completion"][0]["content"][0]["text"]]
        assert all(text in learned for text in texts)


@pytest.mark.parametrize("stage", [stage for stage in STAGES if not KINDS[stage].whole])
def test_other_stages_learn_the_response_alone(stage: str, data: Data, loaded: tuple[Any, Any]) -> None:
    rows, batch = collated(stage, data, loaded)
    for row, labels in zip(rows, batch["labels"], strict=True):
        learned = read(labels[labels != IGNORED], loaded[1])
        assert learned == row["completion"][0]["content"][0]["text"] + "<|im_end|>\n"
        assert ("<think>" in learned) == KINDS[stage].reasoned


def test_what_does_not_fit_is_named_and_never_cut(data: Data, loaded: tuple[Any, Any]) -> None:
    rows, batch = collated("vm-cpt", data, loaded)
    longest = int(batch["attention_mask"].sum(1).max())
    collated("vm-cpt", data, loaded, limit=longest)
    with pytest.raises(UserError, match=f"at most {longest - 1} tokens.*got {longest}") as caught:
        collated("vm-cpt", data, loaded, limit=longest - 1)
    assert str(caught.value).partition(":")[0] in {row["id"] for row in rows}


def test_rollouts_are_asked_with_and_without_the_policy(data: Data) -> None:
    mixture = Mixture([data], reasoned=False)
    row = mixture.rollouts()[0]
    benchmark = mixture.benchmarks[0]
    policy = benchmark.policies[mixture.instances[0][row["instance"]].policy_id or ""]
    shown = list(row["policy_prompt"][0]["content"])
    assert shown[len(policy.content) :] == list(row["prompt"][0]["content"])
    assert [part["type"] for part in shown[: len(policy.content)]] == [part.kind for part in policy.content]
    assert len(row["policy_images"]) == sum(part["type"] == "image" for part in shown)
    assert len(row["images"]) == sum(part["type"] == "image" for part in row["prompt"][0]["content"])


def test_chains_that_a_stage_needs_are_asked_for(text_folder: Path) -> None:
    with pytest.raises(UserError, match=r"trimpi cot .* --cot OUT"):
        Mixture([Data(text_folder)], reasoned=True)


def test_a_mixture_takes_each_benchmark_by_its_weight(text_folder: Path, visual_folder: Path) -> None:
    mixture = Mixture([Data(text_folder, weight=3), Data(visual_folder, weight=1)], reasoned=False)
    rows = mixture.rollouts()
    of = [rows[i]["benchmark"] for i in range(len(rows))]
    assert (of.count(0), of.count(1)) == (12, 4)
    assert {rows[i]["instance"] for i in range(12)} == set(mixture.instances[0])


@given(
    st.lists(st.tuples(st.integers(1, 1000), st.floats(0.01, 100)), min_size=1, max_size=5),
)
def test_shares_follow_the_weights(benchmarks: list[tuple[int, float]]) -> None:
    counts, weights = [c for c, _ in benchmarks], [w for _, w in benchmarks]
    taken = shares(counts, weights)
    assert all(
        abs(share - sum(counts) * weight / sum(weights)) <= 1
        for share, weight in zip(taken, weights, strict=True)
    )
    assert shares(counts, [None] * len(counts)) == counts
