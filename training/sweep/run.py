"""`trimpi sweep`: generates the benchmarks, then runs every cell in a separate process.

An interrupted sweep resumes with the same command: a finished cell has an outcome.json, and a cell waits for
a process that a killed sweep left behind. If a cell fails, the error is recorded and the other cells run.
"""

import os
import platform
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from subprocess import DEVNULL, STDOUT, Popen
from typing import Any

import msgspec

from harness.errors import UserError
from harness.files import store
from harness.progress import Bar, note
from harness.records import Json
from training.config import names
from training.sweep import grid
from training.sweep.cell import ERROR
from training.sweep.checks import read
from training.sweep.grid import SWEEP, Cell, Sweep
from training.sweep.inputs import Base, describe, environment, make_benchmarks, provide_bases
from training.sweep.records import (
    OUTCOME,
    PLAN,
    RECORD,
    CellRecord,
    GridPlan,
    Outcome,
    Plan,
    read_outcome,
    read_plan,
    read_records,
)

LOG = "log.txt"
CELL_COMMAND = (sys.executable, "-m", "training.sweep.cell")
POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class CellProcess:
    cell: Cell
    request: Json
    process: Popen[bytes]
    started: float


def run_sweep(file: Path, out: Path, jobs: int = 1, finished: Sequence[Path] = ()) -> int:
    """Generates the benchmarks, trains and scores every unfinished cell, and returns the number of cells.

    Cells with the same settings in the files `finished` (`trimpi collect`) are taken from there. Raises
    UserError if a file is wrong or a benchmark cannot be generated, and at the end if cells failed.
    """
    if jobs < 1:
        raise UserError(f"jobs: expected 1 or more, got {jobs}")
    if str(file) in names(grid.HERE):
        file = grid.HERE / f"{file}.toml"
    sweep = read(file)
    elsewhere = read_records(finished).cells if finished else {}
    bases = provide_bases(sweep, file, out)
    make_benchmarks(sweep, out)
    plan = _write_plan(sweep, file.stem, bases, out)
    if out / SWEEP != file:
        store.write(out / SWEEP, file.read_bytes())
    cells = grid.cells(sweep)
    requests = {cell: _request(sweep, plan, cell) for cell in cells}
    for cell, record in elsewhere.items():
        same = record.finished and record.outcome.request == requests.get(cell)
        if same and not _is_finished(cell, requests[cell], out):
            _take(record, out)
    failed = _run_cells(requests, out, jobs)
    if failed:
        folder, error = next(iter(failed.items()))
        raise UserError(
            f"{len(failed)} of {len(cells)} cells failed, such as {folder}: {error}; "
            f"see {out / folder / LOG}; run the same command again to retry them"
        )
    return len(cells)


def _write_plan(sweep: Sweep, name: str, bases: dict[str, Base], out: Path) -> Plan:
    """Writes plan.json. Raises UserError if the sweep was started with other bases of these names."""
    known = read_plan(out).bases if (out / PLAN).exists() else {}
    for base in bases:
        if base in known and known[base].digest != bases[base].digest:
            raise UserError(
                f"{out}: this sweep was started with another checkpoint as {base} than {bases[base].source}; "
                "use another folder, or another name in [bases]"
            )
    plan = Plan(
        name=name,
        bases=bases,
        benchmarks={folder: describe(out, folder) for folder in grid.data_folders(sweep)},
        general={name: describe(out, name) for name in sweep.general},
        untrained=tuple(cell for cell in grid.cells(sweep) if cell.seed is None),
        grids=tuple(
            GridPlan(g.title, g.along, tuple(grid.grid_cells(sweep, g)), g.primary) for g in sweep.grids
        ),
    )
    store.write_json(out / PLAN, plan)
    return plan


def _take(record: CellRecord, out: Path) -> None:
    """Stores a cell that was run elsewhere. Its outcome is last: it marks the cell as finished."""
    folder = out / record.cell.folder
    folder.mkdir(parents=True, exist_ok=True)
    store.write_json(folder / RECORD, record)
    store.write_json(folder / OUTCOME, record.outcome)


def _run_cells(requests: Mapping[Cell, Json], out: Path, jobs: int) -> Mapping[str, str]:
    """Runs all cells that are not finished, in order, and returns the errors of the failed ones by folder."""
    waiting = [cell for cell in requests if not _is_finished(cell, requests[cell], out)]
    failed: dict[str, str] = {}
    running: list[CellProcess] = []
    # smoothing=0: cells differ so much that only the mean over all of them predicts the remaining time.
    finished = len(requests) - len(waiting)
    with Bar(total=len(requests), initial=finished, desc="cells", unit="cell", smoothing=0) as bar:
        try:
            while waiting or running:
                busy = {process.cell.lane for process in running}
                free = next((cell for cell in waiting if cell.lane not in busy), None)
                if free is not None and len(running) < jobs:
                    waiting.remove(free)
                    running.append(_start(free, requests[free], out))
                    continue
                time.sleep(POLL_SECONDS)
                for ended in [r for r in running if r.process.poll() is not None]:
                    running.remove(ended)
                    error = _record_outcome(ended, out)
                    if error is not None:
                        failed[ended.cell.folder] = error
                        note(f"{ended.cell.folder}: {error}")
                    bar.update()
        finally:
            for interrupted in running:
                interrupted.process.terminate()
            for interrupted in running:
                interrupted.process.wait()
    return failed


def _request(sweep: Sweep, plan: Plan, cell: Cell) -> Json:
    """Everything that determines the results of a cell, as JSON. Base and data are named by their content."""
    request: dict[str, Any] = {
        "data": {data: plan.benchmarks[data].digest for data in cell.data},
        "general": {name: info.digest for name, info in plan.general.items()},
        "scoring": sweep.scoring,
        "covered_by": cell.covered_by,
        "model": cell.method if cell.base is None else plan.bases[cell.base].digest,
    }
    if cell.seed is not None:
        chains = {"how": cell.how, "chains": cell.chains, "cover": cell.cover}
        request |= {"chains": chains, "recipe": grid.recipe(sweep, cell, request["model"])}
    as_json: Json = msgspec.json.decode(msgspec.json.encode(request, enc_hook=str))
    return as_json


def _is_finished(cell: Cell, request: Json, out: Path) -> bool:
    outcome = read_outcome(out, cell)
    return outcome is not None and outcome.error is None and outcome.request == request


def _start(cell: Cell, request: Json, out: Path) -> CellProcess:
    folder = out / cell.folder
    folder.mkdir(parents=True, exist_ok=True)
    for stale in (ERROR, RECORD):
        (folder / stale).unlink(missing_ok=True)
    with (folder / LOG).open("ab") as log:
        command, variables = [*CELL_COMMAND, cell.folder], environment()
        process = Popen(command, cwd=out, env=variables, stdin=DEVNULL, stdout=log, stderr=STDOUT)
    return CellProcess(cell, request, process, time.monotonic())


def _record_outcome(ended: CellProcess, out: Path) -> str | None:
    """Writes outcome.json, and returns the error if the cell failed."""
    folder, code = out / ended.cell.folder, ended.process.returncode
    error = None
    if code:
        error = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        if (folder / ERROR).exists():
            error = (folder / ERROR).read_text(encoding="utf-8")
    earlier = read_outcome(out, ended.cell)
    seconds = time.monotonic() - ended.started + (earlier.seconds if earlier else 0)
    machine = {"system": platform.platform(), "cores": os.cpu_count()}
    store.write_json(folder / OUTCOME, Outcome(ended.request, seconds, error, machine))
    return error
