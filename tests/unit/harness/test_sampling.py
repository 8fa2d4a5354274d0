"""The sample of --limit: in proportion, nested, and the same for every model; runs of old versions."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness.compare.differences import compare
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.records import Instance, Part, Report, Run
from harness.report.page import warnings
from harness.request import EvalRequest
from harness.run import evaluate, report_again
from harness.sampling import scored_instances
from harness.variants import Variant


def sample(*blocks: Sequence[Instance], limit: int) -> list[Instance]:
    def groups(instance: Instance, _variant: Variant) -> Mapping[str, str]:
        return instance.facts

    benchmark: Any = SimpleNamespace(
        family_of=lambda _: SimpleNamespace(groups=groups),
        parts=lambda _: {str(number): len(block) for number, block in enumerate(blocks)},
        instances_of=lambda part: list(blocks[int(part)]),
        instances=lambda _: [instance for block in blocks for instance in block],
    )
    run = Run("b", "d", "", "f", "m", "test", ("internalized",), limit, 1, {}, sampled=True)
    return scored_instances(benchmark, run)


# Categories of these sizes, one after the other, as in MMLU-Pro.
SIZES = {"business": 789, "law": 1101, "math": 1351, "history": 381, "health": 818}
CATEGORIES = [
    Instance(f"{name}-{k}", "test", (), {"category": name}, None, "A")
    for name, n in SIZES.items()
    for k in range(n)
]
# Ten policies, and pictures with several questions, as in ClevrPolicy.
TREES = [
    Instance(f"{p}-{k}", "test", (Part("image", f"{k // 3}.png"),), {"depth": str(k % 5 // 2)}, f"p{p}", "A")
    for p in range(10)
    for k in range(90)
]


@pytest.mark.parametrize("limit", [20, 40, 400])
def test_categories_are_in_proportion(limit: int) -> None:
    counts = Counter(i.facts["category"] for i in sample(CATEGORIES, limit=limit))
    assert counts.total() == limit
    for name, size in SIZES.items():
        assert abs(counts[name] - limit * size / len(CATEGORIES)) <= 2


@pytest.mark.parametrize("limit", [10, 30, 100])
def test_policies_groups_and_pictures_are_in_proportion(limit: int) -> None:
    drawn = sample(TREES, limit=limit)
    assert set(Counter(i.policy_id for i in drawn).values()) == {limit // 10}
    depths = Counter(i.facts["depth"] for i in drawn)
    for depth, share in (("0", 0.4), ("1", 0.4), ("2", 0.2)):
        assert abs(depths[depth] - share * limit) <= 2 + 0.05 * limit
    # There are 30 pictures with 30 questions each.
    assert len({i.query for i in drawn}) >= 0.8 * min(limit, 30)


def test_a_larger_limit_extends_a_smaller_one_in_the_order_of_the_split() -> None:
    few, more = sample(TREES, limit=40), sample(TREES, limit=80)
    assert {i.id for i in few} < {i.id for i in more} and few == sample(TREES, limit=40)
    assert [i for i in TREES if i in few] == few
    assert sample(TREES, limit=10_000) == TREES


def test_blocks_are_in_proportion() -> None:
    blocks = [CATEGORIES[:100], CATEGORIES[100:1100], CATEGORIES[1100:]]
    few, more = sample(*blocks, limit=40), sample(*blocks, limit=400)
    assert {i.id for i in few} < {i.id for i in more}
    for drawn, limit in ((few, 40), (more, 400)):
        assert len(drawn) == limit
        assert [i for i in CATEGORIES if i in drawn] == drawn
        for block in blocks:
            assert abs(sum(i in block for i in drawn) - limit * len(block) / len(CATEGORIES)) <= 1
    assert sample(*blocks, limit=10_000) == CATEGORIES


def test_every_instance_is_drawn_equally_often() -> None:
    """Over many splits of the same shape, also an instance whose picture has more questions than others."""
    counts = Counter[bool]()
    for split in range(300):
        instances = [
            Instance(
                f"{split}-{k}", "test", (Part("image", "big" if k < 12 else f"{k}"),), {}, None, str(split)
            )
            for k in range(split % 7, 48 + split % 7)
        ]
        counts.update(i.query[0].value == "big" for i in sample(instances, limit=12))
    big = sum(12 - split % 7 for split in range(300)) / (300 * 48)
    assert counts[True] / counts.total() == pytest.approx(big, abs=0.08)


def test_the_report_says_how_the_sample_was_drawn(text_folder: Path, tmp_path: Path) -> None:
    benchmark = Benchmark(text_folder)
    reports = [
        evaluate(benchmark, EvalRequest(model, variants="internalized", limit=4), tmp_path / model)
        for model in ("oracle", "random")
    ]
    n = len(benchmark.instances("test"))
    for report in reports:
        assert any(
            f"a random sample of 4 of {n} instances, the same for every model" in w for w in warnings(report)
        )
    every = evaluate(benchmark, EvalRequest("oracle", variants="internalized", limit=n), tmp_path / "every")
    assert not any("random sample" in w for w in warnings(every))
    ids = [
        [line.split('"')[3] for line in (tmp_path / model / "scores.jsonl").read_text().splitlines()]
        for model in ("oracle", "random")
    ]
    assert ids[0] == ids[1] and len(ids[0]) == 4


def test_a_run_of_an_old_version_keeps_its_first_instances(text_folder: Path, tmp_path: Path) -> None:
    benchmark, request = Benchmark(text_folder), EvalRequest("oracle", variants="internalized", limit=4)
    every = benchmark.instances("test")
    evaluate(benchmark, replace(request, limit=None), tmp_path / "all")
    old, new = tmp_path / "old", tmp_path / "new"
    evaluate(benchmark, request, new)
    # What an interrupted old version would have written: the first instances, and no field `sampled`.
    run = store.read_json(new / "run.json", dict[str, Any])
    del run["sampled"]
    old.mkdir()
    store.write_json(old / "run.json", run)
    lines = (tmp_path / "all" / "responses.jsonl").read_text().splitlines(keepends=True)
    (old / "responses.jsonl").write_text("".join(lines[:3]))
    report = evaluate(benchmark, request, old)
    assert store.read_json(old / "run.json", Run).sampled is False
    scored = [line.split('"')[3] for line in (old / "scores.jsonl").read_text().splitlines()]
    assert scored == [i.id for i in every[:4]]
    assert any("the first 4 of" in warning for warning in warnings(report))
    report_again(benchmark, old)
    assert store.read_json(old / "report.json", Report).rows == report.rows
    with pytest.raises(UserError, match=r"limit 4 \(the first\), .* has 4 \(a random sample\)"):
        compare(old, [new])
