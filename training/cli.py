"""The `trimpi` command: train, cot, sweep, collect, report, curves, recipes, base."""

import os
import signal
from pathlib import Path

from tyro.conf import Positional

from harness.console import command_line
from harness.engine import THIS_MACHINE, EngineConfig
from harness.errors import UserError
from training import config
from training.base.curriculum import BaseConfig
from training.config import Stage
from training.cot.config import CotRequest


def train(
    recipe: Positional[str],
    /,
    *,
    out: Path,
    base: str | None = None,
    data: tuple[Path, ...] = (),
    cot: tuple[Path, ...] = (),
    scale: str | None = None,
    seed: int | None = None,
    stage: Stage | None = None,
) -> None:
    """Train a checkpoint with a recipe, stage by stage. Run the same command again to resume.

    OUT/STAGE is the checkpoint of each stage, with its training.json. OUT/curves.html shows the metrics.

    Args:
        recipe: A recipe that `trimpi recipes` lists, or a TOML file that states only what differs from one.
        out: Folder of the training run.
        base: Checkpoint to start from: a folder, or an id on the Hugging Face hub.
        data: Folders of the benchmarks to learn; only their training splits are read.
        cot: Folders of `trimpi cot`, one for each benchmark in the same order, if a stage needs them.
        scale: Hyperparameters: tiny, paper-clevr, paper-gta, or a TOML file. Required, as --base and --data
            are, unless the recipe's file contains it.
        seed: Seed for the order of the data, for sampling and for new weights.
        stage: Train only this stage; the earlier ones must be finished.
    """
    from training.train import train as train_recipe

    loaded = config.load(recipe, scale, base=base, data=config.pair_data(data, cot), seed=seed)
    print(f"checkpoint: {train_recipe(loaded, out, stage)}")


def cot(benchmark: Positional[Path], out: Positional[Path], /, request: CotRequest) -> None:
    """Generate chains of thought for a benchmark's training split. Run the same command again to resume.

    Args:
        benchmark: Folder of a complete benchmark.
        out: Folder for the chains.
        request: Which chains, and the model that writes them.
    """
    from harness.files.benchmark import Benchmark
    from training.cot.generate import make_chains

    print(make_chains(Benchmark(benchmark), out, request))


def sweep(
    file: Positional[Path],
    out: Positional[Path],
    /,
    processes: EngineConfig = THIS_MACHINE,
    *,
    jobs: int | None = None,
    finished: tuple[Path, ...] = (),
) -> None:
    """Train and score every method on every benchmark with every seed. Run the same command again to resume.

    OUT/runs/BENCHMARK/METHOD/SEED/ contains each training run and its scores. `trimpi report OUT --into PAGE`
    writes one page of tables and plots from them.

    Args:
        file: What to compare: a TOML file, or one that comes with the project: smoke, teachers, tiny or
            tuning.
        out: Folder of the sweep.
        processes: Where the training runs are.
        jobs: Number of training runs at a time: by default 1, and with --engine ray as many as the cluster
            has GPUs, or cores if it has none.
        finished: Files of `trimpi collect`. Cells with the same settings in them are not run again.
    """
    from training.sweep.run import run_sweep

    # A scheduler stops a job with SIGTERM. Treat it like Ctrl-C, so that the processes of the sweep end too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(f"{run_sweep(file, out, jobs, finished, processes)} cells are finished: {out}")


def collect(sources: Positional[tuple[Path, ...]], /, *, into: Path) -> None:
    """Store the finished cells of a sweep in one small text file. Works while the sweep runs.

    `trimpi report` writes its page from this file alone.

    Args:
        sources: Folders of one sweep, from one or more machines, and files of this command.
        into: The file to write, such as docs/results/teachers.jsonl, with a line for each cell.
    """
    from training.sweep.records import read_records

    records = read_records(sources)
    records.write(into)
    print(f"{len(records.cells)} cells: {into}")


def report(sources: Positional[tuple[Path, ...]], /, *, into: Path) -> None:
    """Write the results of a sweep as one Markdown page with plots, next to the paper's results.

    Args:
        sources: Folders of one sweep, and files of `trimpi collect`; cells that have not run yet are marked.
        into: The page to write, such as docs/results.md; its plots go into a folder of the same name.
    """
    from training.sweep.records import read_records
    from training.sweep.report.page import write_results

    print(write_results(read_records(sources), into))


def base(out: Positional[Path], /, config: BaseConfig) -> None:
    """Train the tiny base model, from random weights or a checkpoint. Run the same command again to resume.

    OUT/latest is its checkpoint.

    Args:
        out: Folder of the training run.
        config: How long to train, and on what.
    """
    from training.base.loop import train_base

    train_base(out, config)
    print(f"checkpoint: {out / 'latest'}")


def curves(runs: Positional[tuple[Path, ...]], /, *, out: Path | None = None) -> None:
    """Plot the logged metrics: loss, rewards with and without the policy, lengths. Works during training.

    Args:
        runs: Folders of training runs; the curves of several runs share their plots.
        out: The page to write. The default for one run is RUN/curves.html; several runs need it.
    """
    from training.curves.page import write_curves

    if not runs:
        raise UserError("runs: expected the folders of one or more training runs, got none")
    print(f"page: {write_curves(*runs, out=out)}")


def recipes() -> None:
    """List the recipes and scales that come with the project."""
    from tabulate import tabulate

    rows = [(name, r["title"], ", ".join(r["stages"])) for name, r in config.recipe_files().items()]
    print(tabulate(rows, ("recipe", "title", "stages")))
    print(f"\nscales: {', '.join(config.names(config.SCALES))}")


def main() -> None:
    # Otherwise TRL reports the creation of each trainer to its developers.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    functions = (train, cot, sweep, collect, report, curves, recipes, base)
    command_line(
        {function.__name__: function for function in functions},
        prog="trimpi",
        description="Trains policies into the weights of a model: VM-CPT, CoT SFT, RL with PolicyRollout.",
    )


if __name__ == "__main__":
    main()
