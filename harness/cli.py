"""The `harness` command: eval, judge, report, compare, verify, list."""

from __future__ import annotations

from pathlib import Path

from tyro.conf import Positional

from harness import registry
from harness.compare.page import table as comparison_table
from harness.compare.page import write_comparison
from harness.compare.pairs import compare as compare_runs
from harness.console import command_line
from harness.errors import UserError
from harness.files import store
from harness.general import published
from harness.judge.config import JudgeRequest
from harness.judge.run import judge as judge_run
from harness.judge.summary import table as judgement_table
from harness.records import Report
from harness.report.figures import table
from harness.report.page import warnings
from harness.report.savings import savings
from harness.run import EvalRequest, evaluate
from harness.verify import verify as verify_benchmark


def eval_(
    benchmark: Positional[str],
    /,
    evaluation: EvalRequest,
    *,
    out: Path,
) -> None:
    """Score a model on a benchmark: one table, and RUN/report.html. The same command again resumes.

    Args:
        benchmark: Folder of a complete benchmark, or a published one as NAME[:SOURCE], such as
            mmlu-pro:path/to/MMLU-Pro; SOURCE is a local folder or file, or a Hugging Face id.
        evaluation: What to score.
        out: Folder of the run.
    """
    report = evaluate(published.open(benchmark), evaluation, out)
    print(table({report.run.model: report}))
    for saving in savings(report.usage):
        print(saving)
    for warning in warnings(report):
        print(f"note: {warning}")
    print(f"report: {out / 'report.html'}")


def judge(run: Positional[Path], /, judging: JudgeRequest, *, benchmark: str | None = None) -> None:
    """Let a language model score, 0 to 10, how truly a run's responses cite their policy.

    The same command again resumes. The figures go to RUN/judgement.*.json and into RUN/report.html.

    Args:
        run: Folder of a run.
        judging: Who judges, and how.
        benchmark: The run's, where it no longer lies where the run was made.
    """
    moved = published.open(benchmark) if benchmark is not None else None
    print(judgement_table(judge_run(run, judging, moved)))


def report(runs: Positional[tuple[Path, ...]], /) -> None:
    """Print the scores of finished runs as one table.

    Args:
        runs: Folders of runs.
    """
    if not runs:
        raise UserError("runs: expected the folder of a run or of several, got none")
    for run in runs:
        if (run / "run.json").is_file() and not (run / "report.json").is_file():
            raise UserError(f"{run}: not finished: the same eval command again goes on with it")
    names = [run.resolve().name for run in runs]
    labels = [str(run) if names.count(name) > 1 else name for run, name in zip(runs, names, strict=True)]
    reports = [store.read_json(run / "report.json", Report) for run in runs]
    print(table(dict(zip(labels, reports, strict=True))))


def compare(
    base: Positional[Path], tuned: Positional[tuple[Path, ...]], /, *, out: Path | None = None
) -> None:
    """What changed from one model to another, over all benchmarks that both have scored.

    Args:
        base: A run, or a folder of runs, before.
        tuned: The same after, of one model or several.
        out: Folder for compare.json, compare.md and compare.html.
    """
    comparison = compare_runs(base, tuned)
    print(comparison_table(comparison))
    if out is not None:
        write_comparison(comparison, out)
        print(f"page: {out / 'compare.html'}")


def verify(benchmark: Positional[str], /) -> None:
    """Check every file of a benchmark, and that each gold response scores 1.

    Args:
        benchmark: Folder of a complete benchmark, or a published one as NAME[:SOURCE].
    """
    print(verify_benchmark(published.open(benchmark)))


def list_() -> None:
    """List the families, published benchmarks, backends and metrics that are installed."""
    for group in (registry.FAMILIES, published.BENCHMARKS, registry.BACKENDS, registry.METRICS):
        print(f"{group.removeprefix('harness.')}: {', '.join(registry.names(group))}")


def main() -> None:
    command_line(
        {
            "eval": eval_,
            "judge": judge,
            "report": report,
            "compare": compare,
            "verify": verify,
            "list": list_,
        },
        prog="harness",
        description="Scores any checkpoint on policies that it has internalized, is shown, or must override.",
    )
