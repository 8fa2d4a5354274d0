"""What a sweep came to: every figure out of its stored runs, and over seeds a mean with its interval.

Nothing is scored again here: figures are those of each run's report.json and training.json.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import MANIFEST, Manifest
from harness.records import Json, Report
from harness.report.savings import savings

PLAN, OUTCOME, TRAINING, LOG = "plan.json", "outcome.json", "training.json", "log.jsonl"
"""Of `trimpi sweep` and `trimpi train`."""
FAILED, NOT_RUN = "failed", "not run"
T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
"""97.5 % quantiles of Student's t by degrees of freedom from 1; beyond, the last is taken, which is wider."""
FEWEST = 3
"""Values that a t-interval is given for; of two the lowest and the highest are shown."""
Figures = Mapping[str, float]
"""By name, such as "rl/reward/policy_free" or these."""
INTERNALIZED = "test/internalized/accuracy"
GAIN = f"{INTERNALIZED}, less that of CoT SFT"
PORO_GAIN = f"{INTERNALIZED}, less that of the same without PolicyRollout"
REFERENCE = "cot-sft"
WITHOUT_PORO = {"trimpi-poro-grpo": "trimpi-grpo", "trimpi-poro-dapo": "trimpi-dapo"}


@dataclass(frozen=True, slots=True)
class Cell:
    """As the sweep planned it."""

    folder: str
    benchmarks: tuple[str, ...]
    data: tuple[str, ...]
    """Their folders in data/, which may be others for each seed."""
    method: str
    recipe: str
    stages: tuple[str, ...]
    chains: int | None
    how: str
    seed: int | None


@dataclass(frozen=True, slots=True)
class Grid:
    title: str
    along: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    name: str
    base: Json
    versions: Mapping[str, str]
    machine: Json
    benchmarks: tuple[str, ...]
    """All folders in data/ that hold one."""
    general: tuple[str, ...]
    untrained: tuple[Cell, ...]
    grids: tuple[Grid, ...]


@dataclass(frozen=True, slots=True)
class Outcome:
    seconds: float
    error: str | None


class Spread(NamedTuple):
    """Of the n seeds that have a value."""

    mean: float
    low: float
    high: float
    n: int


@dataclass(frozen=True, slots=True)
class Line:
    """One method on one benchmark, over seeds."""

    method: str
    recipe: str
    benchmark: str
    data: str
    """The folder in data/ of the first cell's benchmark."""
    mixture: tuple[str, ...]
    """All that it was trained on."""
    chains: int | None
    seeds: Mapping[tuple[str, int | None], Figures]
    """Of the cells that are through, by the benchmark's folder and the seed."""
    planned: int
    failed: int

    @property
    def status(self) -> str:
        """What is to be said of the seeds that are not through; empty where all are."""
        if len(self.seeds) == self.planned:
            return ""
        return FAILED if self.failed else NOT_RUN

    def spread(self, name: str) -> Spread | None:
        return spread([figures[name] for figures in self.seeds.values() if name in figures])


def spread(values: Sequence[float]) -> Spread | None:
    """The mean with its 95 % t-interval; of two values with the lower and the higher; None of none."""
    if not values:
        return None
    mean = fmean(values)
    if len(values) < FEWEST:
        return Spread(mean, min(values), max(values), len(values))
    half = T[min(len(values) - 2, len(T) - 1)] * stdev(values) / math.sqrt(len(values))
    return Spread(mean, mean - half, mean + half, len(values))


def read_plan(out: Path) -> Plan:
    """Raises UserError where the folder is no sweep's."""
    if not (out / PLAN).is_file():
        raise UserError(f"{out}: expected the folder of a `trimpi sweep`, got no {PLAN} there")
    return store.read_json(out / PLAN, Plan)


def manifest(out: Path, data: str) -> Manifest:
    return store.read_json(out / "data" / data / MANIFEST, Manifest)


def lines(out: Path, cells: Sequence[Cell]) -> list[Line]:
    """In the cells' order; a cell of a mixture is a line for each of its benchmarks."""
    alike: dict[tuple[str, Cell], list[Cell]] = {}
    for cell in cells:
        for benchmark in cell.benchmarks:
            alike.setdefault((benchmark, replace(cell, folder="", data=(), seed=None)), []).append(cell)
    return [_line(out, benchmark, found) for (benchmark, _), found in alike.items()]


def _line(out: Path, benchmark: str, cells: Sequence[Cell]) -> Line:
    first, place = cells[0], cells[0].benchmarks.index(benchmark)
    errors = {cell: error(out, cell) for cell in cells}
    told = {
        (c.data[place], c.seed): dict(_figures(out / c.folder, c, c.data[place]))
        for c in cells
        if errors[c] == ""
    }
    return Line(
        first.method,
        first.recipe,
        benchmark,
        first.data[place],
        first.benchmarks,
        first.chains,
        told,
        len(cells),
        sum(said not in ("", NOT_RUN) for said in errors.values()),
    )


def compared(found: Sequence[Line]) -> list[Line]:
    """The same lines with what each gains over CoT SFT and over itself without PolicyRollout, as figures.

    Of as many chains, and seed by seed.
    """
    return [
        _gaining(_gaining(line, GAIN, found, REFERENCE), PORO_GAIN, found, WITHOUT_PORO.get(line.method))
        for line in found
    ]


def _gaining(line: Line, gain: str, found: Sequence[Line], method: str | None) -> Line:
    references = [
        other
        for other in found
        if other.method == method
        and (other.benchmark, other.mixture) == (line.benchmark, line.mixture)
        and line.chains in (None, other.chains)
    ]
    if line.method == method or len(references) != 1:
        return line
    reference = references[0].seeds
    gained = {
        seed: {**figures, gain: figures[INTERNALIZED] - reference[seed][INTERNALIZED]}
        for seed, figures in line.seeds.items()
        if seed in reference and INTERNALIZED in figures
    }
    return replace(line, seeds={**line.seeds, **gained})


def error(out: Path, cell: Cell) -> str:
    """Why a cell is not through; empty where it is."""
    outcome = read_outcome(out, cell)
    return NOT_RUN if outcome is None else outcome.error or ""


def read_outcome(out: Path, cell: Cell) -> Outcome | None:
    file = out / cell.folder / OUTCOME
    return store.read_json(file, Outcome) if file.exists() else None


def _figures(folder: Path, cell: Cell, data: str) -> Iterator[tuple[str, float]]:
    for file in sorted(folder.glob("*/report.json")):
        report = store.read_json(file, Report)
        # Of a mixture, only what was scored on this benchmark and on the general ones.
        scored = Path(report.run.benchmark).name
        if scored != data and scored in cell.data:
            continue
        split = report.run.split if scored == data else scored
        for row in report.rows:
            if not row.group and row.mean is not None:
                yield f"{split}/{row.variant}/{row.label}", row.mean
        for saving in savings(report.usage) if split == "test" else ():
            yield f"{saving.what}/shown", saving.shown
            yield f"{saving.what}/without", saving.without
            yield f"{saving.what}/saved", saving.share
    if cell.seed is not None:
        yield from _training(folder / "train" / cell.stages[-1] / TRAINING)


def _training(file: Path) -> Iterator[tuple[str, float]]:
    """Seconds and updates of each stage, and the means of what reinforcement learning logged."""
    stages = store.read_json(file, dict[str, Any])["stages"]
    yield "seconds", sum(stage["wall_seconds"] for stage in stages)
    for stage in stages:
        yield f"{stage['stage']}/seconds", stage["wall_seconds"]
        yield f"{stage['stage']}/steps", stage["steps"]
        if stage["stage"] == "rl":
            means = stage["means"]
            for name in ("reward", "reward/policy_free", "reward/policy_aware", "groups/zero_variance"):
                if name in means:
                    yield f"rl/{name}", means[name]
            if {"reward/policy_free", "reward/policy_aware"} <= means.keys():
                yield "rl/reward/difference", means["reward/policy_aware"] - means["reward/policy_free"]


def over_steps(out: Path, cells: Sequence[Cell], metric: str) -> dict[int, Spread]:
    """What reinforcement learning logged of a metric at each update, over the seeds that are through."""
    values: dict[int, list[float]] = {}
    for cell in cells:
        if error(out, cell) == "":
            for step, value in _logged(out / cell.folder / "train" / LOG, metric).items():
                values.setdefault(step, []).append(value)
    return {step: found for step, told in sorted(values.items()) if (found := spread(told))}


def _logged(file: Path, metric: str) -> dict[int, float]:
    """By step; what a killed sitting logged after the step that the next one went on from was done again."""
    found: dict[int, float] = {}
    for line in store.read_lines(file, dict[str, Any]):
        if line["stage"] != "rl":
            continue
        if "resumed" in line:
            found = {step: value for step, value in found.items() if step <= line["resumed"]}
        value = line.get("values", {}).get(metric)
        if value is not None:
            found[line["step"]] = value
    return found
