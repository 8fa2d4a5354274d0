"""The page of `trimpi report`: its figures come from the stored runs, and missing ones are marked."""

import itertools
import math
import re
import xml.etree.ElementTree as ET
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from harness.errors import UserError
from harness.files import store
from harness.metrics import metric
from harness.metrics.metric import Metric, Unit
from harness.records import Report, ReportRow, Run, Usage
from harness.stats.intervals import t_quantile
from training.sweep.inputs import BenchmarkInfo
from training.sweep.records import Records, read_records
from training.sweep.report import tables
from training.sweep.report.page import write_results
from training.sweep.report.results import StoredSweep, seed_mean
from training.sweep.report.tables import paper_scores
from training.train import StageRecord, TrainingRecord

STAGES = {
    "direct-sft": ["direct-sft"],
    "cot-sft": ["cot-sft"],
    "trimpi-grpo": ["vm-cpt", "cot-sft", "rl"],
    "trimpi-poro-grpo": ["vm-cpt", "cot-sft", "rl"],
}


class FakeSweep:
    """The folder of a sweep whose runs were never run: only their figures are there."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.plan: dict[str, Any] = {
            "type": "plan",
            "name": "fake",
            "bases": {"base": {"source": "../tiny", "digest": "ab" * 32}},
            "benchmarks": {},
            "general": {"skills": {"digest": "s", "family": "clevr-skills", "train": 0, "test": 40}},
            "untrained": [],
            "grids": [],
        }

    def benchmark(self, name: str, depth: int, visual: bool = False) -> None:
        info = BenchmarkInfo(f"{name}-digest", "clevrpolicy", 64, 40, depth, visual, policies=3)
        self.plan["benchmarks"][name] = info

    def cell(
        self,
        benchmark: str,
        method: str,
        chains: int | None = None,
        seed: int | None = None,
        data: str | None = None,
        cover: float = 1.0,
    ) -> dict[str, Any]:
        size, of = "" if chains is None else f"-cot{chains}", "" if seed is None else f"/seed{seed}"
        return {
            "folder": f"runs/{data if data and seed is None else benchmark}/{method}{size}{of}",
            "benchmarks": benchmark.split("+"),
            "data": (data or benchmark).split("+"),
            "method": method,
            "recipe": method,
            "stages": STAGES.get(method, []),
            "chains": chains,
            "how": "gold",
            "cover": cover,
            "seed": seed,
            "base": "base" if method == "base" or seed is not None else None,
        }

    def grid(self, along: str, *cells: dict[str, Any], title: str = "Table 2") -> None:
        self.plan["grids"].append({"title": title, "along": along, "cells": cells})

    def end(self, cell: dict[str, Any], error: str | None = None, **means: float) -> None:
        """Finishes a cell with these accuracies by variant, or lets it fail."""
        folder = self.folder / cell["folder"]
        folder.mkdir(parents=True)
        store.write_json(folder / "outcome.json", {"asked": {}, "seconds": 1.0, "error": error})
        if error is not None:
            return
        for benchmark, data in zip(cell["benchmarks"], cell["data"], strict=True):
            mixed = f"{benchmark}-" if len(cell["benchmarks"]) > 1 else ""
            self._report(folder / f"{mixed}test", data, "test", means)
        self._report(folder / "skills", "skills", "test", {"internalized": 0.5})
        stages = tuple(StageRecord(s, "base", {}, 4, None, 400.0, 400.0, 1, MEANS) for s in cell["stages"])
        if stages:
            record = TrainingRecord(cell["recipe"], "tiny", "hf:base", (), cell["seed"], stages, {})
            (folder / "train" / cell["stages"][-1]).mkdir(parents=True)
            store.write_json(folder / "train" / cell["stages"][-1] / "training.json", record)
            store.write_lines(folder / "train" / "log.jsonl", LOGGED)

    def _report(self, folder: Path, benchmark: str, split: str, means: dict[str, float]) -> None:
        folder.mkdir()
        rows = [ReportRow(v, "accuracy", m, 0.0, 1.0, 40) for v, m in means.items()]
        rows.append(ReportRow("internalized", "accuracy", 0.123, 0.0, 1.0, 9, group="leaf depth", member="1"))
        run = Run(f"/there/data/{benchmark}", "d", "i", "f", "hf:x", split, tuple(means), None, 1, {})
        usage = tuple(Usage(v, 40, 200.0 if v == "in_context" else 50.0, 0, 9, None, 1.0) for v in means)
        backend = {"parameters": 4_000_000, "device": "cpu"}
        store.write_json(folder / "report.json", Report(run, backend, {}, tuple(rows), {}, usage, 1.0, None))

    def page(self) -> str:
        into = self.folder / "docs" / "results.md"
        into.parent.mkdir(exist_ok=True)
        return write_results(self.records(), into).read_text()

    def records(self) -> Records:
        store.write_json(self.folder / "plan.json", self.plan)
        return read_records([self.folder])


MEANS = {"reward/policy_free": 0.25, "reward/policy_aware": 0.5, "groups/zero_variance": 0.125}
LOGGED = [
    {"stage": "cot-sft", "step": 7, "values": {"reward/policy_aware": 9.0}},
    {"stage": "rl", "resumed": 0},
    *(
        {
            "stage": "rl",
            "step": s,
            "seconds": 10.0 * s,
            "values": {"reward/policy_aware": 0.1 * s, "loss": None},
        }
        for s in (1, 2, 3)
    ),
    {"stage": "rl", "resumed": 2},
    {
        "stage": "rl",
        "step": 3,
        "seconds": 30.0,
        "values": {"reward/policy_aware": 0.5, "reward/policy_free": 0.25},
    },
]


@pytest.fixture
def fake(tmp_path: Path) -> FakeSweep:
    sweep = FakeSweep(tmp_path)
    sweep.benchmark("t2", 2)
    for name, score in (("base", 0.01), ("majority", 0.25), ("oracle", 1.0)):
        cell = sweep.cell("t2", name)
        sweep.plan["untrained"].append(cell)
        sweep.end(cell, internalized=score, in_context=0.8, override=0.7)
    return sweep


def row(page: str, label: str, table: int = 0) -> dict[str, str]:
    """The cells of a row by the heads of its table; `table` counts only tables with such a row."""
    rows = []
    heads: list[str] = []
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split(" | ")]
        if not line.startswith("|"):
            heads = []
        elif not heads:
            heads = cells
        elif cells[0] == label:
            rows.append(dict(zip(heads, cells, strict=True)))
    return rows[table]


def test_a_figure_is_the_mean_over_seeds_with_its_interval(fake: FakeSweep) -> None:
    cells = [fake.cell("t2", "cot-sft", 24, seed) for seed in range(3)]
    direct = [fake.cell("t2", "direct-sft", None, seed) for seed in range(2)]
    fake.grid("methods", *cells, *direct)
    for cell, score in zip(cells, (0.5, 0.6, 0.7), strict=True):
        fake.end(cell, internalized=score, in_context=0.5, override=0.5)
    for cell, score in zip(direct, (0.2, 0.3), strict=True):
        fake.end(cell, internalized=score, in_context=0.5, override=0.5)
    page = fake.page()
    cot = row(page, "CoT SFT")
    assert cot["internalized (%)"] == f"60.0 ± {4.303 * 10 / 3**0.5:.1f}"
    assert (cot["seeds"], cot["chains"], cot["skills (%)"]) == ("3 of 3", "24", "50.0")
    assert row(page, "Direct SFT")["internalized (%)"] == "20.0–30.0"
    assert row(page, "Oracle")["internalized (%)"] == "100.0"
    assert row(page, "In-Context")["in context (%)"] == "80.0"


def test_covered_and_uncovered_questions_have_columns(fake: FakeSweep) -> None:
    cells = [fake.cell("t2", "cot-sft", 24, 0, cover=cover) for cover in (0.5, 1.0)]
    cells[0]["folder"] += "-half"
    fake.grid("methods", *cells)
    for cell, means in zip(
        cells, ({"covered": (0.75, 20), "uncovered": (0.25, 20)}, {"covered": (0.8, 40)}), strict=True
    ):
        fake.end(cell, internalized=0.5)
        store.write_json(fake.folder / cell["folder"] / "coverage.json", {"internalized": means})
    page = fake.page()
    heads = ("chains", "covered (%)", "uncovered (%)")
    shown = [[row(page, "CoT SFT", table)[head] for head in heads] for table in (0, 1)]
    assert shown == [["24 for 50 %", "75.0", "25.0"], ["24", "80.0", "–"]]


def test_methods_are_compared_seed_by_seed(fake: FakeSweep) -> None:
    """A gain that is the same for all seeds has an interval without width, even if the seeds differ much."""
    cot = [fake.cell("t2", "cot-sft", 24, seed) for seed in range(4)]
    others = {
        method: [fake.cell("t2", method, chains, seed) for seed in range(4)]
        for method, chains in (("direct-sft", None), ("trimpi-grpo", 24), ("trimpi-poro-grpo", 24))
    }
    fake.grid("methods", *cot, *itertools.chain(*others.values()))
    for cell, score in zip(cot[:3], (0.2, 0.5, 0.8), strict=True):
        fake.end(cell, internalized=score)
    for method, gain in (("direct-sft", -0.2), ("trimpi-grpo", 0.05), ("trimpi-poro-grpo", 0.15)):
        for cell, score in zip(others[method], (0.2, 0.5, 0.8, 0.1), strict=True):
            fake.end(cell, internalized=score + gain)
    page = fake.page()
    assert row(page, "TriMPI, PoRo-GRPO")["over CoT SFT (points)"] == "15.0", "the fourth seed has no pair"
    assert row(page, "Direct SFT")["over CoT SFT (points)"] == "-20.0"
    assert row(page, "CoT SFT")["over CoT SFT (points)"] == "–"
    assert row(page, "TriMPI, PoRo-GRPO")["over no PoRo (points)"] == "10.0"
    assert row(page, "TriMPI, GRPO without PoRo")["over no PoRo (points)"] == "–"


def add_rows(fake: FakeSweep, cell: dict[str, Any], *rows: ReportRow) -> None:
    file = fake.folder / cell["folder"] / "test" / "report.json"
    report = store.read_json(file, Report)
    store.write_json(file, replace(report, rows=report.rows + rows))


def test_metrics_with_details_have_a_column_for_each_detail(fake: FakeSweep) -> None:
    plain, parted = (fake.cell("t2", method, 24, 0) for method in ("cot-sft", "trimpi-poro-grpo"))
    fake.grid("methods", plain, parted)
    fake.end(plain, internalized=0.5)
    assert "baseline" not in fake.page()
    fake.end(parted, internalized=0.5)
    details = [("part", "tool", 0.75), ("baseline", "most frequent call", 0.25)]
    rows = [ReportRow("internalized", m, mean, 0.0, 1.0, 40, detail=detail) for m, detail, mean in details]
    add_rows(fake, parted, *rows)
    page = fake.page()
    shown = row(page, "TriMPI, PoRo-GRPO", 1)
    assert (shown["part: tool (%)"], shown["baseline: most frequent call (%)"]) == ("75.0", "25.0")
    assert row(page, "CoT SFT", 1)["part: tool (%)"] == "–"
    assert "*baseline*: The score of an agent that knows none of the rules" in page


def test_a_metric_of_another_package_has_a_column_in_its_own_unit(
    fake: FakeSweep, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = Metric(name="words per response", explanation="How many words there are.", unit=Unit("words"))
    metrics = {**metric.installed(), words.name: words}
    for module in (metric, tables):
        monkeypatch.setattr(module, "installed", lambda: metrics)
    cell = fake.cell("t2", "cot-sft", 24, 0)
    fake.grid("methods", cell)
    fake.end(cell, internalized=0.5)
    add_rows(fake, cell, ReportRow("internalized", words.name, 7.0, 6.0, 8.0, 40))
    page = fake.page()
    assert row(page, "CoT SFT", 1)["words per response (words)"] == "7.0"
    assert "- *words per response*: How many words there are." in page


def test_the_figures_of_the_paper_are_found_by_method_and_kind(fake: FakeSweep) -> None:
    fake.benchmark("m2", 2, visual=True)
    cells = [fake.cell("t2", "trimpi-poro-grpo", 24, 0), fake.cell("m2", "trimpi-poro-grpo", 24, 0)]
    fake.grid("methods", *cells)
    page = fake.page()
    assert [row(page, "TriMPI, PoRo-GRPO", i)["paper: internalized"] for i in (0, 2)] == ["65.85", "84.70"]
    assert paper_scores("internalized", False, judged=True)["cot-sft"] == 35.4
    assert paper_scores("override", True)["cot-sft"] == 25.2
    assert paper_scores("in_context", True)["base"] == 5.65
    assert "rl-from-base" not in paper_scores("internalized", False)


def test_missing_and_failed_cells_are_marked(fake: FakeSweep) -> None:
    cells = [fake.cell("t2", "cot-sft", 24, seed) for seed in range(3)]
    never = fake.cell("t2", "direct-sft", None, 0)
    bad = fake.cell("t2", "bad", 24, 0) | {"recipe": "cot-sft"}
    (fake.folder / "own.toml").write_text('extends = "cot-sft"\ntitle = "Mine"')
    own = fake.cell("t2", "own", 24, 0) | {"recipe": str(fake.folder / "own.toml")}
    fake.grid("methods", *cells, never, bad, own)
    fake.end(bad, error="killed by signal 9")
    fake.end(cells[0], internalized=0.5, in_context=0.5, override=0.5)
    fake.end(cells[1], error="step 3: the loss is nan | lower it")
    page = fake.page()
    assert row(page, "CoT SFT")["seeds"] == "1 of 3"
    assert row(page, "CoT SFT")["internalized (%)"] == "50.0"
    assert row(page, "Direct SFT")["seeds"] == "0 of 1"
    assert row(page, "Direct SFT")["internalized (%)"] == "not run"
    assert row(page, "CoT SFT (bad)")["internalized (%)"] == "failed"
    assert row(page, "Mine (own)")["internalized (%)"] == "not run"
    assert r"- `runs/t2/cot-sft-cot24/seed1`: step 3: the loss is nan \| lower it" in page


def test_names_from_other_people_stay_in_the_folder_of_the_plots(fake: FakeSweep) -> None:
    cell = fake.cell("t2", "cot-sft", 24, 0) | {"benchmarks": ["../../../t2"]}
    fake.grid("methods", cell)
    fake.end(cell, internalized=0.5)
    assert "(results/table-2-t2.svg)" in fake.page()


def test_rewards_of_both_kinds_of_rollouts_and_savings(fake: FakeSweep) -> None:
    cell = fake.cell("t2", "trimpi-poro-grpo", 24, 0)
    fake.grid("methods", cell)
    fake.end(cell, internalized=0.5, in_context=0.5, override=0.5)
    page = fake.page()
    trained = row(page, "TriMPI, PoRo-GRPO", 1)
    assert (trained["reward, policy-free"], trained["reward, policy-aware"]) == ("0.250", "0.500")
    assert (trained["policy-aware minus policy-free"], trained["seconds"]) == ("0.250", "1\u202f200")
    assert row(page, "t2", 1)["prompt tokens saved (%)"] == "75.0"
    assert "(results/table-2-t2-rewards.svg)" in page
    sweep = StoredSweep(fake.records())
    (method,) = sweep.rows(sweep.plan.grids[0].cells)
    curve = sweep.curve(method, "reward/policy_aware")
    assert [point.mean.mean for point in curve] == pytest.approx([0.1, 0.2, 0.5])
    assert [point.seconds for point in curve] == [810.0, 820.0, 830.0], "after two stages of 400 seconds"
    assert [point.update for point in curve] == [1, 2, 3]


def test_a_benchmark_generated_for_each_seed_is_one_row(fake: FakeSweep) -> None:
    """This also holds for untrained models."""
    cells = []
    for seed, (trained, shown) in enumerate([(0.2, 0.7), (0.6, 0.9)]):
        fake.benchmark(f"own-seed{seed}", 2)
        base = fake.cell("own", "base", data=f"own-seed{seed}")
        fake.plan["untrained"].append(base)
        fake.end(base, in_context=shown)
        cells.append(fake.cell("own", "cot-sft", 8, seed, data=f"own-seed{seed}"))
        fake.end(cells[-1], internalized=trained)
    fake.grid("methods", *cells)
    page = fake.page()
    assert page.count("### own: clevrpolicy-T N=2") == 1
    assert row(page, "CoT SFT")["seeds"] == "2 of 2"
    assert row(page, "CoT SFT")["internalized (%)"] == "20.0–60.0"
    assert row(page, "In-Context")["in context (%)"] == "70.0–90.0"
    assert all(f"| own-seed{seed} |" in page for seed in (0, 1))


def test_a_mixture_has_a_section_for_each_of_its_benchmarks(fake: FakeSweep) -> None:
    fake.benchmark("m2", 2, visual=True)
    cell = fake.cell("t2+m2", "trimpi-poro-grpo", 24, 0)
    fake.grid("methods", cell)
    fake.end(cell, internalized=0.5, in_context=0.5, override=0.5)
    page = fake.page()
    for name, kind in (("t2", "T"), ("m2", "M")):
        assert f"### {name}: clevrpolicy-{kind} N=2, trained on t2 and m2 together" in page
    drawn = re.findall(r"]\((.+?\.svg)\)", page)
    assert len(drawn) == len(set(drawn)) == 3, "a plot for each benchmark, and one of rewards for both"


@pytest.mark.parametrize("along", ["chains", "depth"])
def test_accuracy_over_a_number(fake: FakeSweep, along: str) -> None:
    fake.benchmark("t3", 3)
    benchmarks, sizes = (["t2"], [8, 32]) if along == "chains" else (["t2", "t3"], [8])
    methods = ("cot-sft", "trimpi-poro-grpo")
    cells = [fake.cell(b, "direct-sft", None, 0) for b in benchmarks]
    cells += [fake.cell(b, m, c, s) for m in methods for b in benchmarks for c in sizes for s in (0, 1)]
    fake.grid(along, *cells, title=f"Over {along}")
    for cell in cells[:-2]:
        scored = (0.25 if cell["seed"] else 0.75) + (0.1 if cell["method"] == methods[1] else 0)
        fake.end(cell, internalized=scored, in_context=0.5, override=0.5)
    page = fake.page()
    second = {"chains": "32 chains", "depth": "N=3"}[along]
    assert row(page, "CoT SFT")[second] == "25.0–75.0"
    assert row(page, "TriMPI, PoRo-GRPO")[second] == "not run"
    first = {"chains": "8 chains", "depth": "N=2"}[along]
    assert row(page, "The base in context")[first] == "80.0"
    # A method that reads no chains of thought is the same at every number of them.
    assert [row(page, "Direct SFT")[head] for head in (first, second)] == ["75.0", "75.0"]
    for name in re.findall(r"!\[[^]]*\]\(results/([a-z0-9-]+\.svg)\)", page):
        picture = ET.parse(fake.folder / "docs" / "results" / name).getroot()
        texts = "".join(picture.itertext())
        assert all(text in texts for text in ("accuracy", "CoT SFT", "TriMPI, PoRo-GRPO"))
    assert page.count("![") == 1
    assert row(page, "TriMPI, PoRo-GRPO", 1)[first] == "10.0", "over CoT SFT, seed by seed"


def test_benchmarks_of_the_same_depth_have_separate_lines(fake: FakeSweep) -> None:
    fake.benchmark("other", 2)
    base = fake.cell("other", "base")
    fake.plan["untrained"].append(base)
    fake.end(base, in_context=0.6)
    cells = [fake.cell(name, "cot-sft", 8, 0) for name in ("t2", "other")]
    fake.grid("depth", *cells)
    for cell, score in zip(cells, (0.25, 0.75), strict=True):
        fake.end(cell, internalized=score)
    page = fake.page()
    assert [row(page, f"CoT SFT, {name}")["N=2"] for name in ("t2", "other")] == ["25.0", "75.0"]
    assert row(page, "The base in context, t2")["N=2"] == "80.0"
    assert row(page, "The base in context, other")["N=2"] == "60.0"


@pytest.fixture
def teachers(fake: FakeSweep) -> FakeSweep:
    """Two methods on two bases and four seeds. On the weak base one is always about ten points better."""
    fake.plan["bases"] = {name: {"source": name, "digest": name} for name in ("weak", "best")}
    fake.plan["untrained"] = []
    cells = []
    for base, gains in (("weak", (0.1, 0.11, 0.09, 0.1)), ("best", (0.1, -0.2, 0.2, -0.1))):
        untrained = fake.cell("t2", "base") | {"base": base, "folder": f"runs/t2/base/{base}"}
        fake.plan["untrained"].append(untrained)
        fake.end(untrained, in_context={"weak": 0.15, "best": 0.95}[base])
        for seed, gain in enumerate(gains):
            for method, score in (("cot-sft", 0.3), ("trimpi-grpo", 0.3 + gain), ("direct-sft", 0.1)):
                cell = fake.cell("t2", method, 24, seed) | {"base": base}
                cell["folder"] = f"runs/t2/{method}/{base}/seed{seed}"
                cells.append(cell)
                fake.end(cell, internalized=score + 0.05 * seed)
                scores = {"covered": (score, 20), "uncovered": (score, 20)}
                store.write_json(fake.folder / cell["folder"] / "coverage.json", {"internalized": scores})
    fake.grid("methods", *cells, title="By teacher")
    fake.plan["grids"][0]["primary"] = [("trimpi-grpo", "cot-sft")]
    return fake


def test_primary_comparisons_decide_and_others_are_exploratory(teachers: FakeSweep) -> None:
    page = teachers.page()
    label = "TriMPI, GRPO without PoRo minus CoT SFT"
    weak, best = (row(page, label, table) for table in (0, 1))
    assert (weak["base"], weak["difference (points)"], weak["outcome"]) == ("weak", "+10.0", "shown")
    assert (best["base"], best["seeds"], best["outcome"]) == ("best", "4", "not decided")
    assert float(best["corrected p"]) == float(best["p"]), "the larger of two is not changed"
    exploratory = page[page.index("### Exploratory comparisons") :]
    assert label not in exploratory
    assert row(exploratory, "CoT SFT minus Direct SFT")["difference (points)"] == "+20.0"
    assert "corrected p" not in exploratory


def test_accuracy_over_the_accuracy_of_the_teacher(teachers: FakeSweep) -> None:
    page = teachers.page()
    assert row(page, "CoT SFT")["weak: 15.0"].startswith("37.5")
    assert all(f"### t2: clevrpolicy-T N=2, base {base}" in page for base in ("weak", "best"))
    picture = ET.parse(teachers.folder / "docs" / "results" / "by-teacher-t2-teachers.svg").getroot()
    texts = "".join(picture.itertext())
    assert all(text in texts for text in ("covered answers", "uncovered answers", "CoT SFT", "teacher"))


def test_a_file_of_records_gives_the_same_page_as_the_runs(teachers: FakeSweep) -> None:
    page, file = teachers.page(), teachers.folder / "cells.jsonl"
    records = teachers.records()
    records.write(file)
    into = teachers.folder / "docs" / "results.md"
    assert write_results(read_records([file]), into).read_text() == page
    lines = file.read_bytes().splitlines()
    assert len(lines) == 1 + len(records.cells)
    # Each half has the cells of one session.
    for name, half in (("one", lines[1::2]), ("two", lines[2::2])):
        (teachers.folder / name).write_bytes(b"\n".join([lines[0], *half, b""]))
    both = [teachers.folder / name for name in ("one", "two")]
    assert write_results(read_records(both), into).read_text() == page
    assert write_results(read_records(both[:1]), into).read_text() != page


def test_records_of_different_sweeps_are_not_combined(teachers: FakeSweep, tmp_path: Path) -> None:
    records, (one, other) = teachers.records(), (tmp_path / "one.jsonl", tmp_path / "other.jsonl")
    records.write(one)
    plan = msgspec.structs.replace(records.plan, name="another")
    Records(plan, records.cells).write(other)
    with pytest.raises(UserError, match="expected the sweep fake, got another"):
        read_records([one, other])
    bases = records.plan.bases | {"weak": replace(records.plan.bases["weak"], digest="changed")}
    Records(msgspec.structs.replace(records.plan, bases=bases), {}).write(other)
    with pytest.raises(UserError, match=r"bases\.weak: expected the same"):
        read_records([one, other])
    changed = {
        cell: msgspec.structs.replace(
            record, outcome=msgspec.structs.replace(record.outcome, request={"a": 1})
        )
        for cell, record in records.cells.items()
    }
    Records(records.plan, changed).write(other)
    with pytest.raises(UserError, match="expected its settings in another source"):
        read_records([one, other])
    other.write_bytes(one.read_bytes().split(b"\n", 1)[1])
    with pytest.raises(UserError, match="with one plan, got 0"):
        read_records([other])


def test_the_same_runs_give_the_same_page_and_plots(fake: FakeSweep) -> None:
    cell = fake.cell("t2", "cot-sft", 24, 0)
    fake.grid("methods", cell)
    fake.end(cell, internalized=0.5, in_context=0.5, override=0.5)

    def files() -> dict[str, bytes]:
        fake.page()
        return {p.name: p.read_bytes() for p in (fake.folder / "docs").rglob("*") if p.is_file()}

    assert files() == files()


def test_a_folder_without_a_sweep_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"expected the folder of a `trimpi sweep`"):
        read_records([tmp_path])


def within(freedom: int, quantile: float, steps: int = 20_000) -> float:
    """The probability that |t| is below the quantile, integrated with the midpoint rule."""
    factor = math.gamma((freedom + 1) / 2) / (math.sqrt(freedom * math.pi) * math.gamma(freedom / 2))
    width = 2 * quantile / steps
    places = (-quantile + (i + 0.5) * width for i in range(steps))
    return sum(factor * (1 + x * x / freedom) ** (-(freedom + 1) / 2) for x in places) * width


def test_intervals() -> None:
    for freedom in range(1, 40):
        assert within(freedom, t_quantile(freedom)) == pytest.approx(0.95, abs=3e-4)
    assert seed_mean([]) is None
    assert seed_mean([0.5]) == (0.5, 0.5, 0.5, 1)
    assert seed_mean([0.25, 0.75]) == (0.5, 0.25, 0.75, 2)
    many = seed_mean([0.1, 0.2, 0.3, 0.4])
    assert many is not None
    assert many.high - many.mean == pytest.approx(3.182 * 0.129099 / 2, abs=1e-4)
