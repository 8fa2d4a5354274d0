"""Submits the folder of a run: reads it, verifies and recomputes it, and stores or refuses it."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import msgspec

from harness.backends import is_scripted
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.files.kinds import RESPONSES
from harness.general import published
from harness.metrics.accuracy import ACCURACY
from harness.records import Json, Report, Response, Run
from harness.report.page import render_page
from harness.results import Results
from harness.text import printable, reason
from leaderboards.checks.judgements import judge_figures, judge_id, why_left_out
from leaderboards.checks.leaks import check_leaks
from leaderboards.checks.submission import (
    SCORES,
    Refusal,
    Submission,
    read_submission,
    run_sha256,
    verdicts_name,
)
from leaderboards.checks.verify import verify
from leaderboards.columns import report_columns
from leaderboards.storage.board import Boards
from leaderboards.storage.bundles import Bundle
from leaderboards.storage.records import Board, BoardKey, Figures

BoardEntry = tuple[Board, Figures]


@dataclass(frozen=True, slots=True)
class SubmissionResult:
    """An accepted submission: the sha256 of its bundle, and its entries."""

    bundle: str
    # False if the same run was already on all these boards.
    stored: bool
    entries: tuple[BoardEntry, ...]
    # Why some judgements have no entry.
    left_out: tuple[str, ...]


def submit(boards: Boards, folder: Path, benchmark: str | None = None) -> SubmissionResult:
    """Adds a run to its boards. Every attempt is recorded. Raises UserError with every reason for a refusal.

    The benchmark is a folder or the name of a published one. By default it is the folder named in run.json.
    """
    attempt = boards.begin_attempt(printable(folder.resolve().name))
    try:
        return _submit(boards, attempt, folder, benchmark)
    # Families, metrics and submitted files are other people's, so any exception may occur.
    except Exception as error:
        refusal = error if isinstance(error, UserError) else _unexpected(error)
        with suppress(UserError):  # a full disk has no room for the reasons
            reasons = refusal.reasons if isinstance(refusal, Refusal) else [printable(str(refusal))]
            boards.refuse(attempt, reasons)
        if refusal is error:
            raise
        raise refusal from error


def _submit(boards: Boards, attempt: int, folder: Path, benchmark: str | None) -> SubmissionResult:
    with TemporaryDirectory(prefix="submission-") as temporary:
        copies, files = Path(temporary) / "submitted", Path(temporary) / "files"
        copies.mkdir()
        files.mkdir()
        submission = read_submission(folder, copies)
        run = submission.run
        boards.name_attempt(attempt, run.model, run.digest, run.weights)
        left_out = {j.name: reason for j in submission.judgements if (reason := why_left_out(j))}
        kept = [j for j in submission.judgements if j.name not in left_out]
        submission = replace(submission, judgements=kept)
        opened = published.open(benchmark) if benchmark is not None else _benchmark_of(run)
        results, report = verify(submission, opened, files)
        bundle = _make_bundle(submission, results, report, files)
        responses = store.read_lines(files / RESPONSES, Response)
        prompts_known = all(r.prompt_sha256 is not None for r in responses)
        entries = list(_entries(submission, results, report, prompts_known))
        run_id = run_sha256(run, store.read_lines(files / RESPONSES, Response))
        known = boards.add(attempt, bundle, run_id, submission.name, run.model, entries)
        reasons = tuple(left_out.values())
        return SubmissionResult(known or bundle.sha256, known is None, tuple(entries), reasons)


def _unexpected(error: Exception) -> Refusal:
    return Refusal(
        [
            f"the run cannot be scored ({reason(error)}); if `harness verify` passes on its benchmark, this "
            "is an error of the package: please report it"
        ]
    )


def _benchmark_of(run: Run) -> Benchmark:
    """The benchmark in the folder that run.json names. Its digest is verified later."""
    try:
        return Benchmark(Path(run.benchmark))
    except (UserError, ValueError, OSError) as error:
        raise Refusal([f"benchmark: {error}; specify its folder with --benchmark"]) from error


def _make_bundle(submission: Submission, results: Results, report: Report, folder: Path) -> Bundle:
    """The files to store: the responses, all that is recomputed from them, and the submitted judgements."""
    lines = msgspec.json.Encoder().encode_lines
    files: dict[str, bytes | Path] = {
        "run.json": _json(report.run),
        RESPONSES: folder / RESPONSES,
        "sessions.jsonl": lines(list(submission.sessions)),
        SCORES: folder / SCORES,
        "report.json": _json(report),
        "report.html": render_page(report, results).encode(),
    }
    for name, judgement, verdicts in submission.judgements:
        files[name] = _json(judgement)
        files[verdicts_name(name)] = lines(list(verdicts))
    if submission.training is not None:
        files["training.json"] = _json(submission.training)
    return Bundle(files)


def _json(value: Any) -> bytes:
    return msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n"


def _entries(
    submission: Submission, results: Results, report: Report, prompts_known: bool
) -> Iterator[BoardEntry]:
    """One entry for each variant, and one for each judgement of a variant."""
    run, benchmark, manifest = submission.run, results.benchmark, results.benchmark.manifest
    training = submission.training or {}
    leak_check = check_leaks(submission.training, benchmark, results.instances)
    governed = any(scored.cluster.policy for scored in results.scored)
    accuracies = {r.variant: r for r in report.rows if r.label == ACCURACY.name and not r.group}

    def board(variant: str, judge: str = "") -> Board:
        key = BoardKey(manifest.digest, run.split, variant, report.scorer, judge)
        return Board(key, manifest.family, printable(benchmark.folder.name), manifest.config, governed)

    # Without a variant that has no prompts, such as in_context of a benchmark without policies.
    for variant, row in accuracies.items():
        if row.mean is None or row.low is None or row.high is None:
            raise Refusal([f"{variant}: no response has a value, so there is nothing to rank"])
        figures = Figures(
            mean=row.mean,
            low=row.low,
            high=row.high,
            n=row.n,
            unparsed=row.unparsed,
            truncated=row.truncated,
            samples=run.samples,
            unscored=sum(s.value is None for s in results.scored if s.variant.name == variant),
            columns=report_columns(report, variant),
            base=base if isinstance(base := training.get("base"), str) else None,
            method=_method(training),
            leak=leak_check.text,
            leaks=leak_check.leaks,
            prompts_known=is_scripted(run.model) or prompts_known,
            images=run.images_digest,
        )
        yield board(variant), figures
        for judgement in (j.judgement for j in submission.judgements if j.judgement.variants == variant):
            if judged := judge_figures(judgement, results, figures):
                yield board(variant, judge_id(judgement)), judged


class _CompletedStage(msgspec.Struct):
    stage: str


class _TrainingStages(msgspec.Struct):
    """The completed and the planned stages, as `trimpi train` records them in training.json."""

    stages: tuple[_CompletedStage, ...]
    planned: tuple[str, ...] = ()


def _method(training: Json) -> str:
    """The name of the recipe. If stages are missing, the completed ones come first: "cot-sft, of NAME"."""
    name = training.get("method") or training.get("recipe")
    if not isinstance(name, str):
        return ""
    try:
        recorded = msgspec.convert(training, _TrainingStages)
    except msgspec.ValidationError:  # written by another trainer
        return name
    completed = [stage.stage for stage in recorded.stages]
    return name if completed == list(recorded.planned) else f"{', '.join(completed)}, of {name}"
