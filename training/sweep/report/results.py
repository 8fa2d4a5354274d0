"""Computes means over seeds from the records of a sweep. Nothing is scored again.

Every figure of a cell has a key:

    ("test", "override", "accuracy")               split or general benchmark, variant, label of a score
    ("savings", "prompt tokens", "with policy")    also "without policy" and "saved", which is a share
    ("training", "seconds")                        also updates, and with RL rewards
    ("coverage", "internalized", "covered")        also "uncovered"
    ("gain", "over CoT SFT")                       difference of two methods with the same seed
"""

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import fmean, stdev
from typing import NamedTuple

from harness.stats.intervals import t_quantile
from training.sweep.grid import Cell
from training.sweep.records import CellRecord, Records

Key = tuple[str, ...]
Figures = Mapping[Key, float]
INTERNALIZED: Key = ("test", "internalized", "accuracy")
OVER_COT_SFT: Key = ("gain", "over CoT SFT")
OVER_NO_PORO: Key = ("gain", "over no PoRo")


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


class CurvePoint(NamedTuple):
    """The mean of a metric at an update, counted from 1, after some seconds of training in all stages."""

    update: int
    seconds: float
    mean: SeedMean


Curve = Sequence[CurvePoint]


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
    """The records of a sweep, complete or not."""

    def __init__(self, records: Records) -> None:
        self.plan, self.records = records.plan, records.cells
        self.trained = list(dict.fromkeys(cell for grid in self.plan.grids for cell in grid.cells))
        ended = [
            (cell, self.records[cell].outcome.error)
            for cell in (*self.plan.untrained, *self.trained)
            if cell in self.records
        ]
        self.errors = {cell: error for cell, error in ended if error is not None}

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
            (record.cell.data[index], record.cell.seed): dict(_figures(record, benchmark))
            for record in self._finished(cells)
        }
        return MethodRow(benchmark, cells, figures, failed=sum(cell in self.errors for cell in cells))

    def _finished(self, cells: Iterable[Cell]) -> list[CellRecord]:
        return [self.records[cell] for cell in cells if cell in self.records and cell not in self.errors]

    def curve(self, row: MethodRow, metric: str) -> Curve:
        """A metric of RL at each update that has one. Rewards have one only where responses are sampled."""
        points: list[tuple[list[float], list[float]]] = []
        for record in self._finished(row.cells):
            earlier = 0.0
            for stage in record.stages:
                values, seconds = stage.curves.get(metric, []), stage.curves.get("seconds", [])
                for index, (value, elapsed) in enumerate(zip(values, seconds, strict=False)):
                    if index == len(points):
                        points.append(([], []))
                    if value is not None and elapsed is not None:
                        points[index][0].append(earlier + elapsed)
                        points[index][1].append(value)
                earlier += stage.seconds
        return [
            CurvePoint(update, fmean(at), mean)
            for update, (at, values) in enumerate(points, 1)
            if (mean := seed_mean(values))
        ]


def _figures(record: CellRecord, benchmark: str) -> Iterator[tuple[Key, float]]:
    for name, splits in record.scores.items():
        if name != benchmark and name in record.cell.benchmarks:
            continue  # another benchmark of the mixture
        for split, variants in splits.items():
            for variant, labels in variants.items():
                for label, score in labels.items():
                    yield (split if name == benchmark else name, variant, label), score.mean
    for what, (shown, without) in record.savings.get(benchmark, {}).items():
        yield ("savings", what, "with policy"), shown
        yield ("savings", what, "without policy"), without
        yield ("savings", what, "saved"), 1 - without / shown
    for variant, kinds in record.coverage.get(benchmark, {}).items():
        yield from ((("coverage", variant, kind), score.mean) for kind, score in kinds.items())
    if not record.stages:
        return
    yield ("training", "seconds"), sum(stage.seconds for stage in record.stages)
    supervised = [stage.updates for stage in record.stages if stage.stage != "rl"]
    if supervised:
        yield ("training", "supervised updates"), sum(supervised)
    for stage in record.stages:
        if stage.stage == "rl":
            means = stage.means
            yield ("training", "updates"), stage.updates
            yield from ((("training", name), mean) for name, mean in means.items())
            if {"reward/policy_aware", "reward/policy_free"} <= means.keys():
                difference = means["reward/policy_aware"] - means["reward/policy_free"]
                yield ("training", "reward difference"), difference
            if "groups/zero_variance" in means:
                yield ("training", "useful groups"), 1 - means["groups/zero_variance"]


def with_gains(rows: Sequence[MethodRow]) -> list[MethodRow]:
    """Adds the gains over CoT SFT, and over the same method without PolicyRollout, to the figures."""
    rows = [_with_gain(row, OVER_COT_SFT, rows, "cot-sft") for row in rows]
    return [_with_gain(row, OVER_NO_PORO, rows, _without_poro(row.cell.method)) for row in rows]


def _without_poro(method: str) -> str:
    return method.replace("-poro", "") if "-poro" in method else ""


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
