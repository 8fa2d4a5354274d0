"""`trimpi sweep`: every method on every benchmark with every seed, each in a process of its own.

Killed at any moment, the same command goes on: a cell that is through has an outcome.json, and a process that
was left behind finishes its cell before another begins with it. A cell that fails is recorded, and the others
go on.
"""

from __future__ import annotations

import os
import platform
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from tqdm import tqdm

from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import MANIFEST
from harness.records import Json
from training.sweep import grid as plan
from training.sweep.cell import ERROR
from training.sweep.grid import BASE, SWEEP, Cell, Made, Sweep
from training.train import PACKAGES

PLAN, OUTCOME, LOG = "plan.json", "outcome.json", "log.txt"
CELL = (sys.executable, "-m", "training.sweep.cell")
CONFIG, WEIGHTS = "config.json", "*.safetensors"
PAUSE = 0.2
"""Seconds between two looks at the processes."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a cell ended."""

    asked: Json
    """Another wish for the same folder is tried again, and refused by what stands there."""
    seconds: float
    """Over all sittings that came to an end."""
    error: str | None = None


@dataclass(slots=True)
class Process:
    cell: Cell
    asked: Json
    child: subprocess.Popen[bytes]
    began: float


def sweep(file: Path, out: Path, jobs: int = 1) -> int:
    """Makes the benchmarks, then trains and scores what is missing of every cell; how many cells there are.

    Raises UserError where the file or a benchmark is wrong, and at the end where cells failed.
    """
    if jobs < 1:
        raise UserError(f"jobs: expected 1 or more, got {jobs}")
    file = file if file.suffix == ".toml" else plan.HERE / f"{file}.toml"
    asked = plan.read(file)
    with store.writing(out):
        (out / "data").mkdir(parents=True, exist_ok=True)
    _base(asked, file, out)
    wanted = {
        data: asked.benchmarks[name].command(f"data/{data}", seed)
        for data, (name, seed) in plan.folders(asked).items()
    }
    wanted |= {name: made.command(f"data/{name}") for name, made in asked.general.items()}
    for data, command in wanted.items():
        _make(command, f"data/{data}", MANIFEST, out)
    _write_plan(asked, file.stem, out)
    if out / SWEEP != file:
        store.write(out / SWEEP, file.read_bytes())
    cells = plan.cells(asked)
    failed = _run(asked, cells, out, jobs)
    if failed:
        folder, error = next(iter(failed.items()))
        raise UserError(
            f"{len(failed)} of {len(cells)} cells failed, such as {folder}: {error}; "
            f"see {out / folder / LOG}; the same command tries them again"
        )
    return len(cells)


def _base(asked: Sweep, file: Path, out: Path) -> None:
    """OUT/base leads to the checkpoint; one that is on the hub is left there."""
    link = out / BASE
    if isinstance(asked.base, Made):
        _make(asked.base.command(BASE), BASE, CONFIG, out)
        return
    folder = (file.parent / asked.base).resolve()
    if not folder.is_dir() and (asked.base.startswith((".", "/")) or Path(asked.base).is_dir()):
        raise UserError(
            f"{file}: base: expected the folder of a checkpoint, seen from this file, or an id on the hub, "
            f"got {asked.base}: there is no folder {folder}"
        )
    if folder.is_dir() and not link.exists():
        link.unlink(missing_ok=True)
        link.symlink_to(folder)


def _make(command: str, folder: str, last: str, out: Path) -> None:
    """Runs what makes a folder in which a file called `last` says that it is whole, unless that is there."""
    if (out / folder / last).exists():
        return
    try:
        program, *rest = shlex.split(command)
    except ValueError as error:
        raise UserError(f"make: expected a command line, got {command!r}: {error}") from None
    here = Path(sys.executable).parent
    found = (
        sys.executable if program == "python" else shutil.which(program, path=f"{here}:{os.environ['PATH']}")
    )
    if found is None:
        raise UserError(f"make: expected a command that is installed, got {program!r} in {command!r}")
    print(command, flush=True)
    done = subprocess.run([found, *rest], cwd=out, env=_environment(), check=False)
    if done.returncode or not (out / folder / last).exists():
        raise UserError(f"{out / folder}: `{command}` failed, as said above; mend it in the sweep's file")


def _environment() -> dict[str, str]:
    """Processes that run side by side on a few cores have one thread each."""
    return os.environ | {"OMP_NUM_THREADS": "1", "TOKENIZERS_PARALLELISM": "false"}


def _write_plan(asked: Sweep, name: str, out: Path) -> None:
    """What there will be, for whoever reads the figures. Raises UserError where the base is another now."""
    told: dict[str, Any] = {
        "name": name,
        "base": {
            "name": asked.base if isinstance(asked.base, str) else asked.base.make,
            "sha256": _weights(out),
        },
        "versions": {"python": platform.python_version(), **{name: version(name) for name in PACKAGES}},
        "machine": {"system": platform.platform(), "cores": os.cpu_count()},
        "benchmarks": list(plan.folders(asked)),
        "general": list(asked.general),
        "untrained": [_about(asked, cell) for cell in plan.cells(asked) if cell.seed is None],
        "grids": [
            {
                "title": grid.title,
                "along": grid.along,
                "cells": [_about(asked, c) for c in plan.of_grid(asked, grid)],
            }
            for grid in asked.grids
        ],
    }
    if (out / PLAN).exists():
        before = store.read_json(out / PLAN, dict[str, Any])["base"]
        if before["sha256"] != told["base"]["sha256"]:
            raise UserError(f"{out}: began with another base than {asked.base}; sweep it into another folder")
    store.write_json(out / PLAN, told)


def _weights(out: Path) -> Mapping[str, str]:
    return {file.name: store.sha256(file) for file in sorted((out / BASE).glob(WEIGHTS))}


def _about(asked: Sweep, cell: Cell) -> dict[str, Any]:
    stages = plan.recipe(asked, cell).stages if cell.seed is not None else ()
    recipe = asked.method(cell.method).recipe or cell.method
    return asdict(cell) | {"stages": stages, "recipe": recipe}


def _run(asked: Sweep, cells: Sequence[Cell], out: Path, jobs: int) -> dict[str, str]:
    """Runs what is not through yet; the errors of those that failed, by folder."""
    wishes = {cell: _wish(asked, cell) for cell in cells}
    waiting = [cell for cell in cells if not _through(out / cell.folder / OUTCOME, wishes[cell])]
    failed: dict[str, str] = {}
    running: list[Process] = []
    with tqdm(
        total=len(cells), initial=len(cells) - len(waiting), desc="cells", unit="cell", smoothing=0
    ) as bar:
        try:
            while waiting or running:
                busy = {process.cell.lane for process in running}
                free = next((cell for cell in waiting if cell.lane not in busy), None)
                if free is not None and len(running) < jobs:
                    waiting.remove(free)
                    running.append(_start(free, wishes[free], out))
                    continue
                time.sleep(PAUSE)
                for process in [p for p in running if p.child.poll() is not None]:
                    running.remove(process)
                    outcome = _end(process, out)
                    if outcome.error is not None:
                        failed[process.cell.folder] = outcome.error
                        tqdm.write(f"{process.cell.folder}: {outcome.error}", file=sys.stderr)
                    bar.update()
        finally:
            for process in running:
                process.child.terminate()
            for process in running:
                process.child.wait()
    return failed


def _wish(asked: Sweep, cell: Cell) -> Json:
    wish: dict[str, Any] = {"cell": cell, "scoring": asked.scoring, "general": asked.general}
    if cell.seed is not None:
        wish["recipe"] = plan.recipe(asked, cell)
    told: Json = msgspec.to_builtins(wish, enc_hook=str)
    return told


def _through(file: Path, wish: Json) -> bool:
    if not file.exists():
        return False
    outcome = store.read_json(file, Outcome)
    return outcome.error is None and outcome.asked == msgspec.json.decode(msgspec.json.encode(wish))


def _start(cell: Cell, wish: Json, out: Path) -> Process:
    folder = out / cell.folder
    folder.mkdir(parents=True, exist_ok=True)
    (folder / ERROR).unlink(missing_ok=True)
    with (folder / LOG).open("ab") as log:
        child = subprocess.Popen(
            [*CELL, cell.folder],
            cwd=out,
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    return Process(cell, wish, child, time.monotonic())


def _end(process: Process, out: Path) -> Outcome:
    """Writes the outcome down."""
    folder, code = out / process.cell.folder, process.child.returncode
    error = None
    if code:
        error = f"killed by signal {-code}" if code < 0 else f"exit code {code}"
        if (folder / ERROR).exists():
            error = (folder / ERROR).read_text(encoding="utf-8")
    seconds = time.monotonic() - process.began
    if (folder / OUTCOME).exists():
        seconds += store.read_json(folder / OUTCOME, Outcome).seconds
    outcome = Outcome(process.asked, seconds, error)
    store.write_json(folder / OUTCOME, outcome)
    return outcome
