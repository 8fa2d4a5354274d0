"""From a run's folder to its entries: read, verify, recompute, store; or refused, with reasons."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import msgspec

from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.general import published
from harness.records import Json, ReportRow, Run
from harness.report.page import render_page
from harness.report.savings import savings
from harness.variants import VARIANTS
from leaderboards.checks.judged import judge_figures
from leaderboards.checks.leaks import check
from leaderboards.checks.submission import (
    Bundle,
    Refused,
    Submission,
    bundle,
    read,
    run_sha256,
    unplaced,
)
from leaderboards.checks.verify import Verified, verify
from leaderboards.storage.board import Boards
from leaderboards.storage.records import Board, Figures, Key

REPORTED = {
    "referral": "referral precision",
    "rule recall": "referral recall",
    "branching": "branching",
    "nonexistent": "nonexistent rules",
}
"""Columns of a board by the report's metrics, of the board's own variant."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """A submission that was taken, or was there already."""

    bundle: str
    stored: bool
    entries: tuple[tuple[Board, Figures], ...]


def submit(boards: Boards, folder: Path, benchmark: str | None = None) -> Outcome:
    """Raises UserError with every reason why the run is not taken; the attempt is kept all the same."""
    attempt = boards.begin_attempt(folder.resolve().name)
    try:
        submission = read(folder)
        run = submission.run
        boards.name_attempt(attempt, run.model, run.digest)
        opened = published.open(benchmark) if benchmark is not None else _named(run)
        verified = verify(submission, opened)
        made, entries = assemble(submission, verified, opened)
    except UserError as error:
        boards.refuse(attempt, error.reasons if isinstance(error, Refused) else [str(error)])
        raise
    run_id = run_sha256(run, verified.responses)
    known = boards.add(attempt, made, run_id, submission.name, run.model, entries)
    return Outcome(known or made.sha256, known is None, tuple(entries))


def _named(run: Run) -> Benchmark:
    """The benchmark where the run says that it lies: believed only as far as its digest."""
    try:
        return Benchmark(Path(run.benchmark))
    except (UserError, ValueError, OSError) as error:
        raise Refused([f"benchmark: {error}; name its folder by --benchmark"]) from error


def assemble(
    submission: Submission, verified: Verified, benchmark: Benchmark
) -> tuple[Bundle, list[tuple[Board, Figures]]]:
    """What is stored of a verified run, and the entries that it makes."""
    page = render_page(verified.report, verified.results)
    made = bundle(submission, verified.responses, verified.scores, verified.report, page)
    return made, list(_entries(submission, verified, benchmark))


def _entries(
    submission: Submission, verified: Verified, benchmark: Benchmark
) -> Iterator[tuple[Board, Figures]]:
    run, report = unplaced(submission.run), verified.report
    manifest = benchmark.manifest
    leak = check(submission.training, benchmark, verified.instances)
    training = submission.training or {}
    governed = any(i.policy_id is not None for i in verified.instances)
    whole = {(row.variant, row.metric): row for row in report.rows if not row.group}
    judged = [f for j in submission.judged if (f := judge_figures(j.judgement, verified.results))]

    def board(variant: str, judge: str) -> Board:
        key = Key(manifest.digest, run.split, variant, report.scorer, judge)
        return Board(key, manifest.family, benchmark.folder.name, manifest.config, governed)

    for variant in run.variants:
        row = whole[variant, "accuracy"]
        if row.mean is None or row.low is None or row.high is None:
            raise Refused([f"{variant}: no response has a value, so there is nothing to rank"])
        common = {
            "samples": run.samples,
            "columns": _columns(variant, whole, verified),
            "base": base if isinstance(base := training.get("base"), str) else None,
            "method": _method(training),
            "leak": leak.text,
            "leaks": leak.found,
        }
        unscored = sum(r.score.value is None for r in verified.results.results if r.variant.name == variant)
        figures = asdict(row) | {"unscored": unscored}
        yield board(variant, ""), msgspec.convert(figures | common, Figures)
        for f in judged:
            if f.variant == variant:
                yield board(variant, f.judge), msgspec.convert(asdict(f) | common, Figures)


class _Done(msgspec.Struct):
    stage: str


class _Trained(msgspec.Struct):
    """What `trimpi train` tells of a recipe's stages."""

    stages: tuple[_Done, ...]
    planned: tuple[str, ...] = ()


def _method(training: Json) -> str:
    """The recipe's name; where the checkpoint is not that of its last stage, which stages were done."""
    name = training.get("method") or training.get("recipe")
    if not isinstance(name, str):
        return ""
    try:
        trained = msgspec.convert(training, _Trained)
    except msgspec.ValidationError:  # told by another trainer, in words of its own
        return name
    done = [stage.stage for stage in trained.stages]
    return name if done == list(trained.planned) else f"{', '.join(done)}, of {name}"


def _columns(
    variant: str, whole: dict[tuple[str, str], ReportRow], verified: Verified
) -> dict[str, float | None]:
    """By column; what a run does not tell is left out."""
    report = verified.report
    columns = {name: whole[name, "accuracy"].mean for name in VARIANTS if (name, "accuracy") in whole}
    for name, metric in REPORTED.items():
        if (variant, metric) in whole:
            columns[name] = whole[variant, metric].mean
    for usage in report.usage:
        if usage.variant == variant:
            columns["prompt tokens"] = usage.prompt_tokens
    for saving in savings(report.usage):
        if saving.what == "prompt tokens":
            columns["tokens saved"] = saving.share
    columns["cost"] = report.cost
    return {name: value for name, value in columns.items() if value is not None}
