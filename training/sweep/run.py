"""`trimpi sweep`: generates the benchmarks, then runs every cell in a separate process.

An interrupted sweep resumes with the same command: a finished cell has an outcome.json, and a cell waits for
a process that a killed sweep left behind. If a cell fails, the error is recorded and the other cells run.
"""

import os
import platform
import shlex
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from subprocess import DEVNULL, STDOUT, Popen
from typing import Any

import msgspec
from tqdm import tqdm

from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import MANIFEST
from harness.records import Json
from training.config import names
from training.sweep import grid
from training.sweep.cell import ERROR
from training.sweep.grid import BASE, SWEEP, Cell, MakeCommand, Sweep
from training.train import package_versions

PLAN, OUTCOME, LOG = "plan.json", "outcome.json", "log.txt"
CELL_COMMAND = (sys.executable, "-m", "training.sweep.cell")
POLL_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class GridPlan:
    title: str
    along: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """All cells of a sweep, and what they are computed from."""

    name: str
    # `name`, and `sha256` by file name of its weights, which is empty for a checkpoint on the hub.
    base: Json
    versions: Mapping[str, str]
    machine: Json
    # Folders in data/ with a benchmark, and those with a general benchmark.
    benchmarks: tuple[str, ...]
    general: tuple[str, ...]
    untrained: tuple[Cell, ...]
    grids: tuple[GridPlan, ...]


class Outcome(msgspec.Struct, frozen=True):
    """How a cell ended."""

    # All settings of the cell. If they differ from the current ones, the cell is run again.
    request: Json = msgspec.field(name="asked")
    # Summed over all attempts that came to an end.
    seconds: float
    error: str | None = None


@dataclass(frozen=True, slots=True)
class CellProcess:
    cell: Cell
    request: Json
    process: Popen[bytes]
    started: float


def read_plan(out: Path) -> Plan:
    """Raises UserError if the folder is not one of a sweep."""
    if not (out / PLAN).is_file():
        raise UserError(f"{out}: expected the folder of a `trimpi sweep`, got no {PLAN} there")
    return store.read_json(out / PLAN, Plan)


def read_outcome(out: Path, cell: Cell) -> Outcome | None:
    """None if the cell has not ended yet."""
    file = out / cell.folder / OUTCOME
    return store.read_json(file, Outcome) if file.exists() else None


def run_sweep(file: Path, out: Path, jobs: int = 1) -> int:
    """Generates the benchmarks, trains and scores every unfinished cell, and returns the number of cells.

    Raises UserError if the file is wrong or a benchmark cannot be generated, and at the end if cells failed.
    """
    if jobs < 1:
        raise UserError(f"jobs: expected 1 or more, got {jobs}")
    if str(file) in names(grid.HERE):
        file = grid.HERE / f"{file}.toml"
    sweep = grid.read(file)
    with store.writing(out):
        (out / "data").mkdir(parents=True, exist_ok=True)
    _provide_base(sweep, file, out)
    for folder, (name, seed) in grid.data_folders(sweep).items():
        _make(sweep.benchmarks[name].command(f"data/{folder}", seed), f"data/{folder}", MANIFEST, out)
    for name, source in sweep.general.items():
        _make(source.command(f"data/{name}"), f"data/{name}", MANIFEST, out)
    _write_plan(sweep, file.stem, out)
    if out / SWEEP != file:
        store.write(out / SWEEP, file.read_bytes())
    cells = grid.cells(sweep)
    failed = _run_cells(sweep, cells, out, jobs)
    if failed:
        folder, error = next(iter(failed.items()))
        raise UserError(
            f"{len(failed)} of {len(cells)} cells failed, such as {folder}: {error}; "
            f"see {out / folder / LOG}; run the same command again to retry them"
        )
    return len(cells)


def _provide_base(sweep: Sweep, file: Path, out: Path) -> None:
    """Generates OUT/base or links it to the checkpoint's folder. A checkpoint on the hub needs neither."""
    link = out / BASE
    if isinstance(sweep.base, MakeCommand):
        _make(sweep.base.command(BASE), BASE, "config.json", out)
        return
    folder = (file.parent / sweep.base).resolve()
    # A path relative to the working directory is a likely mistake, and not an id on the hub.
    if not folder.is_dir() and (sweep.base.startswith((".", "/")) or Path(sweep.base).is_dir()):
        raise UserError(
            f"{file}: base: expected the folder of a checkpoint relative to this file, or an id on the hub, "
            f"got {sweep.base}: there is no folder {folder}"
        )
    if folder.is_dir() and not link.exists():
        link.unlink(missing_ok=True)
        link.symlink_to(folder)


def _make(command: str, folder: str, last_file: str, out: Path) -> None:
    """Runs a command that generates a folder, unless the file that it writes last is already there."""
    if (out / folder / last_file).exists():
        return
    print(command, flush=True)
    try:
        arguments = shlex.split(command)
        if arguments[:1] == ["python"]:
            arguments[0] = sys.executable
        ended = subprocess.run(arguments, cwd=out, env=_environment(), check=False)
    except (ValueError, IndexError, OSError) as error:
        raise UserError(f"make: expected a command that is installed, got {command!r}: {error}") from None
    if ended.returncode or not (out / folder / last_file).exists():
        raise UserError(
            f"{out / folder}: `{command}` failed with the output above; correct it in the sweep's file"
        )


def _environment() -> dict[str, str]:
    # Commands of this Python's environment come first, even if it is not activated.
    path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
    # One thread per process, because several run side by side on a few cores.
    return os.environ | {"PATH": path, "OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def _write_plan(sweep: Sweep, name: str, out: Path) -> None:
    """Writes plan.json. Raises UserError if the sweep was started with another base."""
    base = sweep.base if isinstance(sweep.base, str) else sweep.base.make
    weights = {file.name: store.sha256(file) for file in sorted((out / BASE).glob("*.safetensors"))}
    if (out / PLAN).exists() and read_plan(out).base["sha256"] != weights:
        raise UserError(f"{out}: this sweep was started with another base than {base}; use another folder")
    plan = Plan(
        name=name,
        base={"name": base, "sha256": weights},
        versions=package_versions(),
        machine={"system": platform.platform(), "cores": os.cpu_count()},
        benchmarks=tuple(grid.data_folders(sweep)),
        general=tuple(sweep.general),
        untrained=tuple(cell for cell in grid.cells(sweep) if cell.seed is None),
        grids=tuple(GridPlan(g.title, g.along, tuple(grid.grid_cells(sweep, g))) for g in sweep.grids),
    )
    store.write_json(out / PLAN, plan)


def _run_cells(sweep: Sweep, cells: Sequence[Cell], out: Path, jobs: int) -> Mapping[str, str]:
    """Runs all cells that are not finished, and returns the errors of the failed ones by folder."""
    requests = {cell: _request(sweep, cell) for cell in cells}
    waiting = [cell for cell in cells if not _is_finished(cell, requests[cell], out)]
    failed: dict[str, str] = {}
    running: list[CellProcess] = []
    # smoothing=0: cells differ so much that only the mean over all of them predicts the remaining time.
    finished = len(cells) - len(waiting)
    with tqdm(total=len(cells), initial=finished, desc="cells", unit="cell", smoothing=0) as bar:
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
                        tqdm.write(f"{ended.cell.folder}: {error}", file=sys.stderr)
                    bar.update()
        finally:
            for interrupted in running:
                interrupted.process.terminate()
            for interrupted in running:
                interrupted.process.wait()
    return failed


def _request(sweep: Sweep, cell: Cell) -> Json:
    """Everything that determines the results of a cell, as JSON."""
    fields = asdict(cell)
    # Both are part of the complete recipe, which is added below.
    del fields["recipe"], fields["stages"]
    request: dict[str, Any] = {"cell": fields, "scoring": sweep.scoring, "general": sweep.general}
    if cell.seed is not None:
        request["recipe"] = grid.recipe(sweep, cell)
    as_json: Json = msgspec.json.decode(msgspec.json.encode(request, enc_hook=str))
    return as_json


def _is_finished(cell: Cell, request: Json, out: Path) -> bool:
    outcome = read_outcome(out, cell)
    return outcome is not None and outcome.error is None and outcome.request == request


def _start(cell: Cell, request: Json, out: Path) -> CellProcess:
    folder = out / cell.folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ERROR).unlink(missing_ok=True)
    with (folder / LOG).open("ab") as log:
        command, environment = [*CELL_COMMAND, cell.folder], _environment()
        process = Popen(command, cwd=out, env=environment, stdin=DEVNULL, stdout=log, stderr=STDOUT)
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
    store.write_json(folder / OUTCOME, Outcome(ended.request, seconds, error))
    return error
