"""python -m training.sweep.cell FOLDER, run in a sweep's folder: trains and scores one of its cells.

Every cell is a process, so that its memory is freed and a crash affects no other cell. Finished steps are
skipped, so this command also resumes a single cell by hand.
"""

import os
import shutil
import sys
from collections.abc import Collection, Sequence
from dataclasses import asdict, replace
from pathlib import Path

from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import CLOZE, Benchmark
from harness.request import EvalRequest
from harness.run import evaluate
from harness.variants import INTERNALIZED
from training.config import Recipe, Stage
from training.cot import generate
from training.cot.config import CotRequest
from training.cot.prompts import select_instances
from training.curves.history import LOG, RECORD_FILE, LogEntry
from training.sweep import grid
from training.sweep.checks import read
from training.sweep.coverage import accuracy_by_coverage
from training.sweep.grid import COVERAGE, SWEEP, Cell, Sweep
from training.train import RECIPE_FILE, TrainingRecord, common_settings, provenance, reserve_run, train

# A value is named at once; the rest of the chain is not needed.
CLOZE_TOKENS = 24
# The reason why a cell failed.
ERROR = "error.txt"


def run(sweep: Sweep, cell: Cell) -> None:
    """Runs the unfinished steps of a cell. The working directory must be the sweep's folder."""
    model = cell.method
    if cell.base is not None:
        on_hub = not Path(cell.base_folder).exists()
        base = str(sweep.base_sources[cell.base]) if on_hub else cell.base_folder
        model = f"hf:{base if cell.seed is None else _train(sweep, cell, base)}"
    folder, sampling = Path(cell.folder), sweep.scoring.sampling
    for data in cell.data:
        benchmark, test = Benchmark(Path("data", data)), folder / cell.file(data, "test")
        evaluate(benchmark, sweep.scoring.test(model), test)
        if cell.chains is not None:
            scores = accuracy_by_coverage(benchmark, _chains(cell, data, benchmark), test)
            store.write_json(folder / cell.file(data, COVERAGE), scores)
        if "recall" in benchmark.splits:
            request = EvalRequest(model, sampling, variants=INTERNALIZED.name, split="recall")
            evaluate(benchmark, request, folder / cell.file(data, "recall"))
        if benchmark.has_cloze:
            short = replace(sampling, max_new_tokens=min(CLOZE_TOKENS, sampling.max_new_tokens))
            request = EvalRequest(model, short, variants=INTERNALIZED.name, split=CLOZE, batch_check=False)
            evaluate(benchmark, request, folder / cell.file(data, CLOZE))
    for name in sweep.general:
        request = EvalRequest(model, sampling, variants=INTERNALIZED.name)
        evaluate(Benchmark(Path("data", name)), request, folder / name)


def _chains(cell: Cell, data: str, benchmark: Benchmark) -> Collection[str]:
    """The ids of the instances with the chains of thought whose answers count as covered."""
    if cell.gold_chains is not None:
        return [instance.id for instance in select_instances(benchmark, *cell.gold_chains)]
    return generate.read_chains(Path(cell.chains_folder(data)), benchmark)


def _train(sweep: Sweep, cell: Cell, base: str) -> Path:
    """Generates chains of thought if the cell needs them, trains it, and returns the checkpoint."""
    if cell.chains is not None:
        model = None if cell.how == "gold" else f"hf:{base}"
        request = CotRequest(cell.how, model, cell.chains, cell.cover, sampling=sweep.scoring.sampling)
        for name in cell.data:
            folder = Path(cell.chains_folder(name))
            folder.parent.mkdir(exist_ok=True)
            with store.locked(folder.with_name(f".{folder.name}.lock"), wait=True):
                generate.make_chains(Benchmark(Path("data", name)), folder, request)
    recipe, run = grid.recipe(sweep, cell, base), Path(cell.folder, "train")
    others = [Path(c.folder, "train") for c in grid.cells(sweep) if c.lane == cell.lane and c != cell]
    link_shared_stages(recipe, run, others)
    return train(recipe, run)


def link_shared_stages(recipe: Recipe, run: Path, others: Sequence[Path]) -> None:
    """Links stages that another run has trained from the same base and data, with the same seed and settings.

    A stage can only be linked if all stages before it are the same. It is not linked if its training has
    already begun here.
    """
    data = tuple(provenance(recipe))
    reserve_run(run, recipe, data)
    ours = common_settings(run)
    begun = (other for other in others if (other / RECIPE_FILE).exists())
    others = [other for other in begun if common_settings(other) == ours]
    wanted = [(stage, asdict(recipe.rl if stage == "rl" else recipe.sft[stage])) for stage in recipe.stages]  # type: ignore[arg-type]
    for index, stage in enumerate(recipe.stages):
        if (run / stage / RECORD_FILE).exists():
            continue
        if (run / f".{stage}").exists():
            return
        for other in (other for other in others if (other / stage / RECORD_FILE).exists()):
            record = store.read_json(other / stage / RECORD_FILE, TrainingRecord)
            same = (record.base, record.seed, record.data) == (f"hf:{recipe.base}", recipe.seed, data)
            if same and [(done.stage, done.settings) for done in record.stages] == wanted[: index + 1]:
                _link(other, run, stage)
                break
        else:
            return


def _link(other: Path, run: Path, stage: Stage) -> None:
    """Hard links use no disk space. The log of the stage is copied too."""
    lines = [line for line in store.Log(other / LOG, LogEntry).read() if line.stage == stage]
    store.Log(run / LOG, LogEntry).append(lines)
    unfinished = run / f".{stage}.linked"
    shutil.rmtree(unfinished, ignore_errors=True)
    shutil.copytree(other / stage, unfinished, copy_function=os.link)
    unfinished.replace(run / stage)


def main() -> None:
    sweep = read(Path(SWEEP))
    cells = {cell.folder: cell for cell in grid.cells(sweep)}
    if len(sys.argv) != 2 or sys.argv[1] not in cells:
        sys.exit(f"expected: python -m training.sweep.cell FOLDER, one of {', '.join(cells)}")
    cell = cells[sys.argv[1]]
    Path(cell.folder).mkdir(parents=True, exist_ok=True)
    # A process of a killed sweep may still be running a cell in this lane.
    with store.locked(Path("runs", f".{cell.lane}.lock"), wait=True):
        try:
            run(sweep, cell)
        except Exception as error:
            # The sweep reports this one line; the traceback is in the cell's log.
            message = str(error) if isinstance(error, UserError) else f"{type(error).__name__}: {error}"
            store.write(Path(cell.folder, ERROR), message.encode())
            raise


if __name__ == "__main__":
    main()
