"""VM-CPT with other sequences than the paper's: what they contain, and what is learned."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from small_models import random_model

from harness.backends.local.chat import placeholders
from harness.backends.local.checkpoint import load_checkpoint
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark
from training import config
from training.config import TrainingData
from training.cot.config import CotRequest
from training.cot.generate import make_chains, read_chains
from training.curves.history import RECORD_FILE
from training.sequences.collate import IGNORED, MaskingCollator
from training.sequences.dataset import Mixture
from training.sequences.template import SequenceTemplate
from training.train import TrainingRecord, train

ROWS = {"vm-cpt": 1, "policy": 1, "rewording": 2, "rules": 8, "cot-sft": 1}


@pytest.fixture(scope="module", params=["text_folder", "visual_folder"])
def data(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TrainingData:
    return with_chains(request.getfixturevalue(request.param), tmp_path_factory.mktemp("chains"))


def with_chains(folder: Path, out: Path) -> TrainingData:
    make_chains(Benchmark(folder), out / "chains", CotRequest(limit=2))
    return TrainingData(folder, out / "chains")


def rows_of(data: TrainingData, rows: Any = None, seed: int = 0) -> list[dict[str, Any]]:
    dataset = Mixture([data], ["vm-cpt"]).sft_dataset("vm-cpt", rows=rows, seed=seed)
    return [dataset[i] for i in range(len(dataset))]


def response(row: dict[str, Any]) -> str:
    return str(row["completion"][0]["content"][0]["text"])


def prompt(row: dict[str, Any]) -> str:
    return "".join(part.get("text", "<image>") for part in row["prompt"][0]["content"])


def test_the_papers_version_is_the_default(data: TrainingData) -> None:
    benchmark = Benchmark(data.benchmark)
    rows = rows_of(data)
    assert rows == rows_of(data, {"vm-cpt": 1}) == rows_of(data, seed=1)
    assert [row["id"] for row in rows] == list(read_chains(data.cot, benchmark))
    policies = {i.id: benchmark.policies[i.policy_id] for i in benchmark.instances("train")}
    for row in rows:
        content = policies[row["id"]].content
        assert prompt(row).startswith("".join(p.value if p.kind == "text" else "<image>" for p in content))
        assert row["prompt_loss"]


def test_the_numbers_and_contents_of_the_rows(data: TrainingData) -> None:
    benchmark = Benchmark(data.benchmark)
    instances = {i.id: i for i in benchmark.instances("train")}
    rows = rows_of(data, ROWS)
    assert len(rows) == 2 * sum(ROWS.values())
    for start in (0, len(rows) // 2):
        paper, own, *others = rows[start : start + sum(ROWS.values())]
        reworded, asked, chain = others[:2], others[2:-1], others[-1]
        assert paper == rows_of(data)[start and 1]
        assert chain == Mixture([data], ["cot-sft"]).sft_dataset("cot-sft")[start and 1]
        instance = instances[paper["id"]]
        policy = benchmark.policies[instance.policy_id]
        texts = [part.value for part in policy.content if part.kind == "text"]
        assert all(text.strip() in response(own) for text in texts)
        assert len({response(row) for row in [own, *reworded]}) == 3
        for row in [own, *reworded]:
            # The prompt has no rule, but all images of the policy.
            assert "Condition" not in prompt(row)
            assert prompt(row).count("<image>") == len(row["images"]) == len(policy.content) - len(texts)
            numbers = [int(number) for number in re.findall(r"in image (\d+)", response(row))]
            assert numbers == list(range(1, len(row["images"]) + 1))
        for row in asked:
            assert policy.name in prompt(row)
            assert response(row).startswith(("Condition 1", "<think>"))
            assert response(row).count("in image ") == len(row["images"]) == prompt(row).count("<image>")


def test_equal_seeds_give_equal_rows(data: TrainingData) -> None:
    rows = rows_of(data, ROWS)
    assert rows == rows_of(data, ROWS)
    other = rows_of(data, ROWS, seed=1)
    same = [a == b for a, b in zip(rows, other, strict=True)]
    assert same.count(True) < len(rows) / 2
    fixed = [
        place for place in range(len(rows)) if place % sum(ROWS.values()) in (0, 1, sum(ROWS.values()) - 1)
    ]
    assert all(same[place] for place in fixed)


def test_only_the_training_split_is_read(data: TrainingData, monkeypatch: pytest.MonkeyPatch) -> None:
    read, images = Benchmark.instances, Benchmark.image
    splits, paths = set(), set()
    monkeypatch.setattr(Benchmark, "instances", lambda self, s: splits.add(s) or read(self, s))
    monkeypatch.setattr(Benchmark, "image", lambda self, p: paths.add(p) or images(self, p))
    rows_of(data, ROWS)
    assert splits == {"train"}
    benchmark = Benchmark(data.benchmark)
    chosen = [i for i in read(benchmark, "train") if i.id in read_chains(data.cot, benchmark)]
    parts = [*(p for i in chosen for p in (*i.query, *benchmark.policies[i.policy_id].content))]
    assert paths == {part.value for part in parts if part.kind == "image"}


@pytest.mark.parametrize("architecture", ["qwen2_5_vl", "idefics3"])
def test_the_loss_counts_the_response_and_no_image(
    architecture: str, data: TrainingData, checkpoint: Path
) -> None:
    if architecture == "qwen2_5_vl":
        model, processor = load_checkpoint(str(checkpoint), torch.device("cpu"))
    else:
        model, processor = random_model(architecture)
        processor.chat_template = (
            "{% for m in messages %}{{ m.role }}: {% for p in m.content %}{% if p.type == 'image' %}<image>"
            "{% else %}{{ p.text }}{% endif %}{% endfor %}\n{% endfor %}"
            "{% if add_generation_prompt %}assistant: {% endif %}"
        )
    template, visual = SequenceTemplate("hf:x", processor), placeholders(model.config, processor)
    rows = rows_of(data, ROWS)
    batch = MaskingCollator(template, visual, None)(rows)
    assert not torch.isin(batch["labels"], torch.tensor(sorted(visual))).any()
    for row, labels in zip(rows, batch["labels"], strict=True):
        learned = processor.tokenizer.decode(labels[labels != IGNORED])
        _, answer = template.texts(row)
        if row["prompt_loss"]:
            assert (
                learned.endswith(answer) and "Start at Condition 1" in learned and len(learned) > len(answer)
            )
        else:
            assert learned == answer
    assert [row["prompt_loss"] for row in rows].count(True) == 2


def test_gtapolicy_has_one_wording_and_no_questions(rules_folder: Path, tmp_path: Path) -> None:
    data = with_chains(rules_folder, tmp_path)
    (row, _) = rows_of(data, {"policy": 1})
    assert response(row).startswith("Policy ")
    for kind in ("rewording", "rules"):
        with pytest.raises(UserError, match=rf"vm-cpt.rows: .*{kind}.* gtapolicy cannot create; remove it"):
            rows_of(data, {kind: 1})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"cot-sft": {"rows": {"policy": 1}}}, r"sft\.cot-sft\.rows: expected it only for vm-cpt"),
        ({"vm-cpt": {"rows": {"policy": 0}}}, r"rows\.policy: expected 1 or more, got 0"),
        ({"vm-cpt": {"rows": {"poems": 1}}}, r"Invalid enum value 'poems'"),
    ],
)
def test_wrong_rows_are_refused(changes: Any, message: str) -> None:
    with pytest.raises(UserError, match=message):
        config.load("vm-cpt-cot-sft", "tiny", base="base", data=[{"benchmark": "bench"}], sft=changes)


def test_the_recipe_trains(visual_folder: Path, checkpoint: Path, tmp_path: Path) -> None:
    data = with_chains(visual_folder, tmp_path)
    given = [{"benchmark": data.benchmark, "cot": data.cot}]
    few = {"vm-cpt": {"batch_size": 8, "micro_batch": 8, "epochs": 1}}
    recipe = config.load("vm-cpt-questions-cot-sft", "tiny", base=str(checkpoint), data=given, sft=few)
    assert (train(recipe, tmp_path / "run", only="vm-cpt") / "model.safetensors").exists()
    record = store.read_json(tmp_path / "run" / "vm-cpt" / RECORD_FILE, TrainingRecord)
    # Two chains with four sequences each.
    assert record.stages[0].steps == 1
    assert record.stages[0].settings["rows"] == {"rewording": 1, "rules": 2, "cot-sft": 1}
