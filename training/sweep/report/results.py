"""Reads the stored runs of a sweep and computes means over seeds. Nothing is scored again.

Every figure of a cell has a key:

    ("test", "override", "accuracy")               split or general benchmark, variant, label in report.json
    ("savings", "prompt tokens", "with policy")    also "without policy" and "saved", which is a share
    ("training", "seconds")                        from training.json; with RL also its updates and rewards
    ("coverage", "internalized", "covered")        from coverage.json, also "uncovered"
    ("gain", "over CoT SFT")                       difference of two methods with the same seed
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import NamedTuple

from harness.files import store
from harness.files.benchmark import MANIFEST, Manifest
from harness.records import Report
from harness.report.savings import savings
from harness.stats.intervals import t_quantile
from training.curves import history
from training.curves.history import RECORD_FILE
from training.sweep.coverage import Coverage
from training.sweep.grid import COVERAGE, Cell
from training.sweep.run import read_outcome, read_plan
from training.train import TrainingRecord

Key = tuple[str, ...]
Figures = Mapping[Key, float]
INTERNALIZED: Key = ("test", "internalized", "accuracy")
OVER_COT_SFT: Key = ("gain", "over CoT SFT")
OVER_NO_PORO: Key = ("gain", "over no PoRo")
WITHOUT_PORO = {
    "trimpi-poro-grpo": "trimpi-grpo",
    "trimpi-poro-dapo": "trimpi-dapo",
    "cot-sft-poro-dapo": "cot-sft-dapo",
}


class SeedMean(NamedTuple):
    """The mean over n seeds. Low and high are its 95 % t-interval, or the extremes of fewer than 3 values."""

    mean: float
    low: float
    high: float
    n: int


def seed_mean(values: Sequence[float]) -> SeedMean | None:
    if not values:
        return None
    mean = fmean(values)
    if len(values) < 3:
        return SeedMean(mean, min(values), max(values), len(values))
    half = t_quantile(len(values) - 1) * stdev(values) / math.sqrt(len(values))
    return SeedMean(mean, mean - half, mean + half, len(values))


@dataclass(frozen=True, slots=True)
class MethodRow:
    """One method on one benchmark, over all seeds."""

    benchmark: str
    cells: Sequence[Cell]
    # Figures of the finished cells, by folder in data/ and seed.
    figures: Mapping[tuple[str, int | None], Figures]
    # Number of failed cells.
    failed: int

    @property
    def cell(self) -> Cell:
        """The first cell; the others differ only in seed, folder and data."""
        return self.cells[0]

    @property
    def data(self) -> str:
        """The folder in data/ of the first cell."""
        return self.cell.data[self.cell.benchmarks.index(self.benchmark)]

    def mean(self, key: Key) -> SeedMean | None:
        return seed_mean([figures[key] for figures in self.figures.values() if key in figures])


class StoredSweep:
    """The folder of a sweep, finished or not. Raises UserError if it is not one."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.plan = folder, read_plan(folder)
        self.trained = list(dict.fromkeys(cell for grid in self.plan.grids for cell in grid.cells))
        cells = [*self.plan.untrained, *self.trained]
        # Only cells that have ended, with or without an error.
        self.outcomes = {cell: outcome for cell in cells if (outcome := read_outcome(folder, cell))}
        self.errors = {cell: o.error for cell, o in self.outcomes.items() if o.error is not None}

    def manifest(self, data: str) -> Manifest:
        return store.read_json(self.folder / "data" / data / MANIFEST, Manifest)

    def kind(self, data: str) -> str:
        """Such as "clevrpolicy-T N=4"."""
        manifest = self.manifest(data)
        depth, letter = manifest.config.get("depth"), "M" if manifest.config.get("visual") else "T"
        return f"{manifest.family}-{letter} N={depth}" if depth else manifest.family

    def rows(self, cells: Iterable[Cell]) -> list[MethodRow]:
        """The rows of these cells, in their order. A method on a mixture has a row for each benchmark."""
        groups: dict[tuple[str, Cell], list[Cell]] = {}
        for cell in cells:
            for benchmark in cell.benchmarks:
                any_seed = replace(cell, folder="", data=(), seed=None)
                groups.setdefault((benchmark, any_seed), []).append(cell)
        return [self._row(benchmark, members) for (benchmark, _), members in groups.items()]

    def _row(self, benchmark: str, cells: Sequence[Cell]) -> MethodRow:
        index = cells[0].benchmarks.index(benchmark)
        figures = {
            (cell.data[index], cell.seed): dict(_figures(self.folder / cell.folder, cell, cell.data[index]))
            for cell in self._finished(cells)
        }
        return MethodRow(benchmark, cells, figures, failed=sum(cell in self.errors for cell in cells))

    def _finished(self, cells: Iterable[Cell]) -> list[Cell]:
        return [cell for cell in cells if cell in self.outcomes and cell not in self.errors]

    def reward_curve(self, row: MethodRow, rollouts: str) -> dict[int, SeedMean]:
        """The mean reward of policy_free or policy_aware rollouts at each update."""
        rewards: dict[int, list[float]] = {}
        for cell in self._finished(row.cells) if "rl" in row.cell.stages else ():
            for step, values in history.read_history(self.folder / cell.folder / "train")["rl"].steps.items():
                reward = values.get(f"reward/{rollouts}")
                if reward is not None:
                    rewards.setdefault(step, []).append(reward)
        return {step: mean for step in sorted(rewards) if (mean := seed_mean(rewards[step]))}


def _figures(folder: Path, cell: Cell, data: str) -> Iterator[tuple[Key, float]]:
    for file in sorted(folder.glob("*/report.json")):
        report = store.read_json(file, Report)
        scored = Path(report.run.benchmark).name
        if scored != data and scored in cell.data:
            continue  # another benchmark of the mixture
        split = report.run.split if scored == data else scored
        for row in report.rows:
            if not row.group and row.mean is not None:
                yield (split, row.variant, row.label), row.mean
        for saving in savings(report.usage) if split == "test" else ():
            yield ("savings", saving.what, "with policy"), saving.shown
            yield ("savings", saving.what, "without policy"), saving.without
            yield ("savings", saving.what, "saved"), saving.share
    coverage = folder / cell.file(data, COVERAGE)
    if coverage.exists():
        for variant, kinds in store.read_json(coverage, Coverage).items():
            yield from ((("coverage", variant, kind), score.mean) for kind, score in kinds.items())
    if cell.seed is None:
        return
    stages = store.read_json(folder / "train" / cell.stages[-1] / RECORD_FILE, TrainingRecord).stages
    yield ("training", "seconds"), sum(stage.wall_seconds for stage in stages)
    for stage in stages:
        if stage.stage == "rl":
            means = stage.means
            yield ("training", "updates"), stage.steps
            yield from ((("training", name), mean) for name, mean in means.items())
            if {"reward/policy_aware", "reward/policy_free"} <= means.keys():
                difference = means["reward/policy_aware"] - means["reward/policy_free"]
                yield ("training", "reward difference"), difference


def with_gains(rows: Sequence[MethodRow]) -> list[MethodRow]:
    """Adds the gains over CoT SFT, and over the same method without PolicyRollout, to the figures."""
    rows = [_with_gain(row, OVER_COT_SFT, rows, "cot-sft") for row in rows]
    return [_with_gain(row, OVER_NO_PORO, rows, WITHOUT_PORO.get(row.cell.method, "")) for row in rows]


def _with_gain(row: MethodRow, gain: Key, rows: Sequence[MethodRow], method: str) -> MethodRow:
    """Compares a row with another method on the same data, with as many chains, seed by seed."""
    references = [
        other
        for other in rows
        if other.cell.method == method
        and (other.benchmark, other.cell.benchmarks) == (row.benchmark, row.cell.benchmarks)
        and other.cell.base == row.cell.base
        and (row.cell.chains is None or row.cell.covered_by == other.cell.covered_by)
    ]
    if row.cell.method == method or len(references) != 1:
        return row
    reference = references[0].figures
    gains = {
        seed: {**figures, gain: figures[INTERNALIZED] - reference[seed][INTERNALIZED]}
        for seed, figures in row.figures.items()
        if INTERNALIZED in figures and INTERNALIZED in reference.get(seed, {})
    }
    return replace(row, figures={**row.figures, **gains})
