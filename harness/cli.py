"""The `harness` command: eval, report, verify, list."""

from __future__ import annotations

from pathlib import Path

from tyro.conf import Positional

from harness import plugins, store
from harness.benchmark import Benchmark
from harness.console import command_line
from harness.records import Report
from harness.report import table
from harness.run import Evaluation, evaluate
from harness.verify import verify as verify_benchmark


def eval_(
    benchmark: Positional[Path],
    /,
    evaluation: Evaluation,
    *,
    out: Path,
) -> None:
    """Score a model on a benchmark: one table, and RUN/report.html. The same command again resumes.

    Args:
        benchmark: Folder of a complete benchmark.
        evaluation: What to score.
        out: Folder of the run.
    """
    report = evaluate(Benchmark(benchmark), evaluation, out)
    print(table({report.run.model: report}))
    print(f"report: {out / 'report.html'}")


def report(runs: Positional[tuple[Path, ...]], /) -> None:
    """Print the scores of finished runs as one table.

    Args:
        runs: Folders of runs.
    """
    print(table({run.name: store.read_json(run / "report.json", Report) for run in runs}))


def verify(benchmark: Positional[Path], /) -> None:
    """Check every file of a benchmark, and that each gold response scores 1.

    Args:
        benchmark: Folder of a complete benchmark.
    """
    print(verify_benchmark(Benchmark(benchmark)))


def list_() -> None:
    """List the policy families, backends and metrics that are installed."""
    for group in (plugins.FAMILIES, plugins.BACKENDS, plugins.METRICS):
        print(f"{group.removeprefix('harness.')}: {', '.join(plugins.names(group))}")


def main() -> None:
    command_line(
        {"eval": eval_, "report": report, "verify": verify, "list": list_},
        prog="harness",
        description="Scores any checkpoint on policies that it has internalized, is shown, or must override.",
    )
