"""`trimpi sweep`: generates the benchmarks, then runs every cell in a separate process.

The processes run on this machine or on a Ray cluster. An interrupted sweep resumes with the same command: a
finished cell has an outcome.json, and a cell waits for a process that a killed sweep left behind. If a cell
fails, the error is recorded and the other cells run.
"""

import ctypes
import os
import platform
import signal
import sys
import time
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from subprocess import DEVNULL, STDOUT, Popen
from typing import Any

import msgspec

from harness.engine import THIS_MACHINE, EngineConfig
from harness.errors import UserError
from harness.files import store
from harness.files.workdir import require_shared
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
# Of prctl(2).
PR_SET_PDEATHSIG = 1
# Cells that ended, with their errors.
Outcomes = Generator[tuple[Cell, str | None], None, None]


@dataclass(frozen=True, slots=True)
class CellProcess:
    cell: Cell
    request: Json
    process: Popen[bytes]
    started: float


def run_sweep(
    file: Path,
    out: Path,
    jobs: int | None = None,
    finished: Sequence[Path] = (),
    processes: EngineConfig = THIS_MACHINE,
) -> int:
    """Generates the benchmarks, trains and scores every unfinished cell, and returns the number of cells.

    jobs: how many cells run at a time; by default one, or on a cluster as many as it has GPUs or cores for.
    Cells with the same settings in the files `finished` (`trimpi collect`) are taken from there. Raises
    UserError if a file is wrong or a benchmark cannot be generated, and at the end if cells failed.
    """
    if jobs is not None and jobs < 1:
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
    failed = _run_cells(requests, out, jobs, processes)
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


def _run_cells(
    requests: Mapping[Cell, Json], out: Path, jobs: int | None, processes: EngineConfig
) -> Mapping[str, str]:
    """Runs all cells that are not finished, and returns the errors of the failed ones by folder."""
    waiting = {cell: r for cell, r in requests.items() if not _is_finished(cell, r, out)}
    failed: dict[str, str] = {}
    finished = len(requests) - len(waiting)
    if processes.engine == "ray":
        outcomes = _run_on_cluster(waiting, out.resolve(), jobs, processes)
    else:
        outcomes = _run_here(waiting, out, jobs or 1)
    # smoothing=0: cells differ so much that only the mean over all of them predicts the remaining time.
    bar = Bar(total=len(requests), initial=finished, desc="cells", unit="cell", smoothing=0)
    with bar, closing(outcomes):
        for cell, error in outcomes:
            if error is not None:
                failed[cell.folder] = error
                note(f"{cell.folder}: {error}")
            bar.update()
    return failed


def _run_here(waiting: Mapping[Cell, Json], out: Path, jobs: int) -> Outcomes:
    """Runs cells in order in processes of this machine; yields each one that ended, with its error if any."""
    left = list(waiting)
    running: list[CellProcess] = []
    try:
        while left or running:
            busy = {process.cell.lane for process in running}
            free = next((cell for cell in left if cell.lane not in busy), None)
            if free is not None and len(running) < jobs:
                left.remove(free)
                running.append(_start(free, waiting[free], out))
                continue
            time.sleep(POLL_SECONDS)
            for ended in [r for r in running if r.process.poll() is not None]:
                running.remove(ended)
                yield ended.cell, _record_outcome(ended, out)
    finally:
        for interrupted in running:
            interrupted.process.terminate()
        for interrupted in running:
            interrupted.process.wait()


def _run_on_cluster(
    waiting: Mapping[Cell, Json], out: Path, jobs: int | None, processes: EngineConfig
) -> Outcomes:
    """The same on a cluster, with a GPU for each cell if there are any.

    A task is a lane. If its machine dies, the cells that have not ended run on another one, where the first
    of them resumes.
    """
    lanes: dict[str, list[tuple[Cell, Json]]] = {}
    for cell, request in waiting.items():
        lanes.setdefault(cell.lane, []).append((cell, request))
    left = set(waiting)
    with processes.open(jobs, gpus=True) as engine:
        outcomes = engine.stream(partial(_run_lane, out), lanes.values(), lambda item: item[0] in left)
        for cell, error in outcomes:
            left.remove(cell)
            yield cell, error


def _run_lane(out: Path, lane: Sequence[tuple[Cell, Json]]) -> Iterator[tuple[Cell, str | None]]:
    """Runs cells one after another on the machine that this process is on."""
    require_shared(out, PLAN)
    for cell, request in lane:
        started = _start(cell, request, out, preexec_fn=_die_with_parent)
        started.process.wait()
        yield cell, _record_outcome(started, out)


def _die_with_parent() -> None:
    """Has the kernel kill this process with the one that started it, such as when Ray ends that one."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


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


def _start(cell: Cell, request: Json, out: Path, preexec_fn: Callable[[], None] | None = None) -> CellProcess:
    folder = out / cell.folder
    folder.mkdir(parents=True, exist_ok=True)
    for stale in (ERROR, RECORD):
        (folder / stale).unlink(missing_ok=True)
    with (folder / LOG).open("ab") as log:
        command, variables = [*CELL_COMMAND, cell.folder], environment()
        process = Popen(
            command, cwd=out, env=variables, stdin=DEVNULL, stdout=log, stderr=STDOUT, preexec_fn=preexec_fn
        )
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
