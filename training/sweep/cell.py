"""python -m training.sweep.cell FOLDER, in a sweep's folder: trains and scores one of its cells.

A process of its own, so that its memory is freed and its crash is its own; what is done already is not done
again, so this is also how to go on with one cell by hand.
"""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from pathlib import Path

from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.run import EvalRequest, evaluate
from harness.variants import INTERNALIZED
from training.config import Recipe, Stage
from training.cot import generate
from training.curves.history import LOG, RECORD_FILE, LogEntry
from training.sweep import grid
from training.sweep.grid import BASE, SCRIPTED, SWEEP, Cell, Sweep
from training.train import TrainingRecord, provenance, reserve_run, train

ERROR = "error.txt"
"""Why a cell failed."""


def run(sweep: Sweep, cell: Cell) -> None:
    """All that is missing of a cell; paths are relative to the sweep's folder, the working directory."""
    base = BASE if Path(BASE).exists() else str(sweep.base)
    if cell.seed is not None:
        model = f"hf:{_trained(sweep, cell, base)}"
    else:
        model = cell.method if cell.method in SCRIPTED else f"hf:{base}"
    for name, benchmark, asked in _evaluations(sweep, cell, model):
        evaluate(benchmark, asked, Path(cell.folder) / name)


def _trained(sweep: Sweep, cell: Cell, base: str) -> Path:
    model = None if cell.how == "gold" else f"hf:{base}"
    asked = generate.CotRequest(cell.how, model, cell.chains, sampling=sweep.scoring.sampling)
    for name in cell.data if cell.chains is not None else ():
        out = Path(cell.chains_of(name))
        with store.locked(out.with_name(f".{out.name}.lock"), wait=True):
            generate.make_chains(Benchmark(Path("data", name)), out, asked)
    recipe, folder = grid.recipe(sweep, cell, base), Path(cell.folder)
    alike = [Path(other.folder) for other in grid.cells(sweep) if other.lane == cell.lane and other != cell]
    adopt(recipe, folder / "train", [other / "train" for other in alike])
    return train(recipe, folder / "train")


def _evaluations(sweep: Sweep, cell: Cell, model: str) -> Iterator[tuple[str, Benchmark, EvalRequest]]:
    """The run's folder, benchmark and settings: test and recall, then what may be forgotten."""
    scoring, sampling = sweep.scoring, sweep.scoring.sampling
    for name, data in zip(cell.benchmarks, cell.data, strict=True):
        benchmark, mixed = Benchmark(Path("data", data)), f"{name}-" if len(cell.benchmarks) > 1 else ""
        yield f"{mixed}test", benchmark, scoring.test(model)
        if "recall" in benchmark.splits:
            yield (
                f"{mixed}recall",
                benchmark,
                EvalRequest(model, INTERNALIZED.name, "recall", sampling=sampling),
            )
    for name in sweep.general:
        yield name, Benchmark(Path("data", name)), EvalRequest(model, INTERNALIZED.name, sampling=sampling)


def adopt(recipe: Recipe, run: Path, others: Iterable[Path]) -> None:
    """Links the first stages that another run has trained just so: the same base, data, seed and settings."""
    data = tuple(provenance(recipe))
    reserve_run(run, recipe, data)
    wanted = [(stage, asdict(recipe.rl if stage == "rl" else recipe.sft[stage])) for stage in recipe.stages]  # type: ignore[arg-type]
    for index, stage in enumerate(recipe.stages):
        if (run / stage / RECORD_FILE).exists():
            continue
        if (run / f".{stage}").exists():
            return
        for other in others:
            if not (other / stage / RECORD_FILE).exists():
                continue
            record = store.read_json(other / stage / RECORD_FILE, TrainingRecord)
            same = (record.base, record.seed, record.data) == (f"hf:{recipe.base}", recipe.seed, data)
            if same and [(done.stage, done.settings) for done in record.stages] == wanted[: index + 1]:
                _link(other, run, stage)
                break
        else:
            return


def _link(other: Path, run: Path, stage: Stage) -> None:
    """Hard links take no space; what was logged of the stage comes along."""
    lines = [line for line in store.Log(other / LOG, LogEntry).read() if line.stage == stage]
    store.Log(run / LOG, LogEntry).append(lines)
    aside = run / f".{stage}.linked"
    shutil.rmtree(aside, ignore_errors=True)
    shutil.copytree(other / stage, aside, copy_function=os.link)
    aside.replace(run / stage)


def main() -> None:
    sweep = grid.read(Path(SWEEP))
    found = {cell.folder: cell for cell in grid.cells(sweep)}
    if len(sys.argv) != 2 or sys.argv[1] not in found:
        sys.exit(f"expected: python -m training.sweep.cell FOLDER, one of {', '.join(found)}")
    cell = found[sys.argv[1]]
    Path(cell.folder).mkdir(parents=True, exist_ok=True)
    # A killed sweep's cell may be at work still when the next sweep begins.
    with store.locked(Path("runs", f".{cell.lane}.lock"), wait=True):
        try:
            run(sweep, cell)
        except Exception as error:
            # For the sweep's record, whatever it was; what else was printed is in the log.
            said = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            store.write(Path(cell.folder, ERROR), said.encode())
            raise


if __name__ == "__main__":
    main()
