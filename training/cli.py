"""The `trimpi` command: train, cot, sweep, report, curves, recipes, base."""

from __future__ import annotations

import os
import signal
from pathlib import Path

from tyro.conf import Positional

from harness.console import command_line
from harness.files.benchmark import Benchmark
from training import config
from training.base.curriculum import BaseConfig
from training.config import Stage
from training.cot.generate import Cot
from training.cot.generate import make as make_chains
from training.sweep.run import run_sweep
from training.train import train as train_recipe


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
    """Train a checkpoint by a recipe, stage after stage. Interrupted, the same command goes on.

    OUT/STAGE is the checkpoint of each stage, with its training.json; OUT/curves.html shows how it went.
    `trimpi recipes` lists what there is.

    Args:
        recipe: Name of a recipe, or a TOML file of your own that states what differs.
        out: Folder of the training run.
        base: Checkpoint to start from: a folder, or an id on the Hugging Face hub.
        data: Benchmarks to learn, by folder; their training split is read.
        cot: Folders of `trimpi cot`, one for each benchmark in their order, where a stage needs them.
        scale: Hyperparameters: tiny, paper-clevr, paper-gta, or a TOML file.
        seed: Of the order of the data, of sampling and of new weights.
        stage: Only this stage; the ones before it must be there.
    """
    asked = config.load(recipe, scale, base=base, data=config.pair(data, cot), seed=seed)
    print(f"checkpoint: {train_recipe(asked, out, stage)}")


def cot(benchmark: Positional[Path], out: Positional[Path], /, asked: Cot) -> None:
    """Make chains of thought for a benchmark's training split. The same command again resumes.

    Args:
        benchmark: Folder of a complete benchmark.
        out: Folder of the chains.
        asked: Which chains, and who writes them.
    """
    print(make_chains(Benchmark(benchmark), out, asked))


def sweep(file: Positional[Path], out: Positional[Path], /, *, jobs: int = 1) -> None:
    """Train and score every method on every benchmark with every seed. The same command again resumes.

    OUT/runs/BENCHMARK/METHOD/SEED/ contains each training run with its scores; `trimpi report OUT` writes
    a page of tables and plots of them.

    Args:
        file: What to compare: a TOML file, or smoke or tiny, which come with the project.
        out: Folder of the sweep.
        jobs: Number of cells to run at the same time.
    """
    # A scheduler stops a job with SIGTERM. Handle it like Ctrl-C, so that the running cells end too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    print(f"{run_sweep(file, out, jobs)} cells are finished: {out}")


def report(sweep: Positional[Path], /, *, into: Path) -> None:
    """Write the results of a sweep as one Markdown page with plots, next to the paper's results.

    Args:
        sweep: Folder of the sweep; cells that have not run yet are shown as not run.
        into: The page to write, such as docs/results.md; its plots go into a folder of the same name.
    """
    from training.sweep.report.page import write_results

    print(write_results(sweep, into))


def base(out: Positional[Path], /, config: BaseConfig) -> None:
    """Train the tiny base model from nothing; OUT/latest is its checkpoint. The same command again goes on.

    Args:
        out: Folder of the training run.
        config: How long, and on what.
    """
    from training.base.loop import train_base

    train_base(out, config)
    print(f"checkpoint: {out / 'latest'}")


def curves(runs: Positional[tuple[Path, ...]], /, *, out: Path | None = None) -> None:
    """Draw what was logged: loss, rewards with and without the policy, lengths. Also while it trains.

    Args:
        runs: Folders of training runs; several are laid over each other.
        out: The page to write; needed for several runs, RUN/curves.html for one.
    """
    from training.curves.page import write_curves

    print(f"page: {write_curves(*runs, out=out)}")


def recipes() -> None:
    """List the recipes and scales that come with the project."""
    print(f"recipes: {', '.join(config.names(config.RECIPES))}")
    print(f"scales: {', '.join(config.names(config.SCALES))}")


def main() -> None:
    # TRL reports each trainer that is made to its makers.
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    command_line(
        {
            "train": train,
            "cot": cot,
            "sweep": sweep,
            "report": report,
            "curves": curves,
            "recipes": recipes,
            "base": base,
        },
        prog="trimpi",
        description="Moves a policy into the weights of a model: VM-CPT, CoT-SFT, RL with PolicyRollout.",
    )


if __name__ == "__main__":
    main()
