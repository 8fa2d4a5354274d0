"""The cells of a sweep as one small text file, from which its page can be written without the runs.

A file has one line that says what was planned, and one for each cell that has ended. Files of several
machines or sessions can be combined, and `trimpi sweep` need not run the cells in them again:

    trimpi collect OUT --into cells.jsonl               at any time, also while the sweep runs
    trimpi collect a.jsonl b.jsonl --into both.jsonl
    trimpi sweep FILE OUT --finished both.jsonl
    trimpi report both.jsonl --into page.md
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import msgspec

from harness.errors import UserError
from harness.files import store
from harness.records import Json, Report
from harness.report.savings import savings
from training.config import Stage
from training.curves.history import RECORD_FILE, read_history
from training.sweep.coverage import Coverage, MeanOf
from training.sweep.grid import COVERAGE, Cell
from training.sweep.inputs import Base, BenchmarkInfo
from training.train import TrainingRecord

PLAN, OUTCOME, RECORD = "plan.json", "outcome.json", "record.json"
# Beginnings of the names of RL's metrics that are kept.
KEPT = ("reward", "accuracy/", "groups/", "dynamic_sampling/")
# Those of them that are kept for every update.
CURVES = ("accuracy/policy_free", "reward/policy_free", "reward/policy_aware")
DIGITS = 4


@dataclass(frozen=True, slots=True)
class GridPlan:
    title: str
    along: str
    cells: tuple[Cell, ...]
    primary: tuple[tuple[str, str], ...] = ()


class Plan(msgspec.Struct, frozen=True, tag="plan"):
    """plan.json: all cells of a sweep, and what they are computed from."""

    name: str
    bases: dict[str, Base]
    # By folder in data/.
    benchmarks: dict[str, BenchmarkInfo]
    general: dict[str, BenchmarkInfo]
    untrained: tuple[Cell, ...]
    grids: tuple[GridPlan, ...]


class Outcome(msgspec.Struct, frozen=True):
    """outcome.json: how a cell ended."""

    # Everything that determines the results. If it differs from the current one, the cell is run again.
    request: Json = msgspec.field(name="asked")
    # Summed over all attempts that came to an end.
    seconds: float
    error: str | None = None
    machine: Json = {}


class StageSummary(msgspec.Struct, frozen=True, omit_defaults=True):
    """How a stage was trained."""

    stage: Stage
    # The number of updates, and why there are no more of them.
    updates: int
    seconds: float
    stopped: str | None = None
    # Means over the updates.
    means: dict[str, float] = {}
    # By metric, at each update; and the seconds since the stage began.
    curves: dict[str, list[float | None]] = {}


class CellRecord(msgspec.Struct, frozen=True, omit_defaults=True, tag="cell"):
    """A cell that has ended, with all that the page of the sweep says about it."""

    cell: Cell
    outcome: Outcome
    versions: dict[str, str] = {}
    # Such as device and number of parameters.
    backend: Json = {}
    # By benchmark, split, variant and label. A general benchmark is a benchmark of its own.
    scores: dict[str, dict[str, dict[str, dict[str, MeanOf]]]] = {}
    # By benchmark.
    coverage: dict[str, Coverage] = {}
    # By benchmark and quantity: means with and without the policy in the prompt.
    savings: dict[str, dict[str, tuple[float, float]]] = {}
    stages: tuple[StageSummary, ...] = ()

    @property
    def finished(self) -> bool:
        return self.outcome.error is None


class Records(msgspec.Struct, frozen=True):
    """What was planned, and the cells that have ended."""

    plan: Plan
    cells: Mapping[Cell, CellRecord]

    def write(self, file: Path) -> None:
        with store.writing(file):
            file.parent.mkdir(parents=True, exist_ok=True)
        store.write_lines(file, [self.plan, *self.cells.values()])


def read_plan(out: Path) -> Plan:
    """Raises UserError if the folder is not one of a sweep."""
    if not (out / PLAN).is_file():
        raise UserError(f"{out}: expected the folder of a `trimpi sweep`, got no {PLAN} there")
    return store.read_json(out / PLAN, Plan)


def read_outcome(out: Path, cell: Cell) -> Outcome | None:
    """None if the cell has not ended yet."""
    file = out / cell.folder / OUTCOME
    return store.read_json(file, Outcome) if file.exists() else None


def read_records(sources: Sequence[Path]) -> Records:
    """The records of one sweep from its folders and from files of `trimpi collect`, together.

    Raises UserError if they are not of one sweep, or if a cell has different settings in two of them.
    """
    if not sources:
        raise UserError("sources: expected folders of `trimpi sweep` or files of `trimpi collect`, got none")
    collected = {source: _collect(source) if source.is_dir() else _read(source) for source in sources}
    plan, cells = collected[sources[0]].plan, dict[Cell, CellRecord]()
    for source, found in collected.items():
        plan = _joined(plan, found.plan, source)
        for cell, record in found.cells.items():
            known = cells.get(cell)
            if known is not None and known.outcome.request != record.outcome.request:
                raise UserError(
                    f"{source}: {cell.folder}: expected its settings in another source, got others; "
                    "leave one of the two out"
                )
            if known is None or not known.finished:
                cells[cell] = record
    return Records(plan, cells)


def _read(file: Path) -> Records:
    lines: Iterable[Plan | CellRecord] = list(store.read_lines(file, Plan | CellRecord))  # type: ignore[arg-type]
    plans = [line for line in lines if isinstance(line, Plan)]
    if len(plans) != 1:
        raise UserError(f"{file}: expected a file of `trimpi collect` with one plan, got {len(plans)}")
    return Records(plans[0], {line.cell: line for line in lines if isinstance(line, CellRecord)})


def _joined(one: Plan, other: Plan, source: Path) -> Plan:
    if one.name != other.name:
        raise UserError(f"{source}: expected the sweep {one.name}, got {other.name}; write a page for each")
    for name in ("bases", "benchmarks", "general"):
        ours, theirs = getattr(one, name), getattr(other, name)
        for key in ours.keys() & theirs.keys():
            if ours[key].digest != theirs[key].digest:
                raise UserError(f"{source}: {name}.{key}: expected the same as in the other sources")
    grids = {grid.title: grid for grid in one.grids}
    for grid in other.grids:
        known = grids.get(grid.title, grid)
        grids[grid.title] = replace(known, cells=tuple(dict.fromkeys((*known.cells, *grid.cells))))
    return msgspec.structs.replace(
        one,
        bases=other.bases | one.bases,
        benchmarks=other.benchmarks | one.benchmarks,
        general=other.general | one.general,
        untrained=tuple(dict.fromkeys((*one.untrained, *other.untrained))),
        grids=tuple(grids.values()),
    )


def _collect(out: Path) -> Records:
    """The records of the cells in a sweep's folder that have ended."""
    plan = read_plan(out)
    planned = dict.fromkeys((*plan.untrained, *(cell for grid in plan.grids for cell in grid.cells)))
    outcomes = {cell: outcome for cell in planned if (outcome := read_outcome(out, cell))}
    return Records(
        plan, {cell: _record(out / cell.folder, cell, outcome) for cell, outcome in outcomes.items()}
    )


def _record(folder: Path, cell: Cell, outcome: Outcome) -> CellRecord:
    if (folder / RECORD).exists():
        return store.read_json(folder / RECORD, CellRecord)
    if outcome.error is not None:
        return CellRecord(cell, outcome)
    reports = [store.read_json(file, Report) for file in sorted(folder.glob("*/report.json"))]
    names = dict(zip(cell.data, cell.benchmarks, strict=True))
    record = CellRecord(
        cell, outcome, scores={}, savings={}, coverage={}, stages=tuple(_stages(folder, cell))
    )
    for report in reports:
        data = Path(report.run.benchmark).name
        benchmark = names.get(data, data)
        rows = [row for row in report.rows if not row.group and row.mean is not None]
        scores = record.scores.setdefault(benchmark, {}).setdefault(report.run.split, {})
        for row in rows:
            scores.setdefault(row.variant, {})[row.label] = MeanOf(round(row.mean or 0.0, 6), row.n)
        if report.run.split == "test" and data in names:
            record.savings[benchmark] = {s.what: (s.shown, s.without) for s in savings(report.usage)}
    for data, benchmark in names.items():
        if (file := folder / cell.file(data, COVERAGE)).exists():
            record.coverage[benchmark] = store.read_json(file, Coverage)
    main = next((report for report in reports if report.run.split == "test"), None)
    if main is None:
        return record
    backend = {key: main.backend[key] for key in ("parameters", "device") if key in main.backend}
    return msgspec.structs.replace(record, versions=_versions(folder, cell, main), backend=backend)


def _versions(folder: Path, cell: Cell, report: Report) -> dict[str, str]:
    if not cell.stages:
        return dict(report.versions)
    return dict(_training(folder, cell).versions)


def _training(folder: Path, cell: Cell) -> TrainingRecord:
    return store.read_json(folder / "train" / cell.stages[-1] / RECORD_FILE, TrainingRecord)


def _stages(folder: Path, cell: Cell) -> Iterator[StageSummary]:
    if not cell.stages:
        return
    history = read_history(folder / "train")
    for stage in _training(folder, cell).stages:
        means = {name: round(v, DIGITS) for name, v in stage.means.items() if name.startswith(KEPT)}
        curves: dict[str, list[float | None]] = {}
        if stage.stage == "rl" and "rl" in history:
            steps = history["rl"].steps
            for name in CURVES:
                values = [steps[step].get(name) for step in sorted(steps)]
                if any(value is not None for value in values):
                    curves[name] = [None if v is None else round(v, DIGITS) for v in values]
            curves["seconds"] = [round(history["rl"].elapsed[step], 1) for step in sorted(steps)]
        yield StageSummary(
            stage.stage, stage.steps, round(stage.wall_seconds, 1), stage.stopped, means, curves
        )
