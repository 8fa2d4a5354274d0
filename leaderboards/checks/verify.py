"""Recompute, never trust: a submission against its benchmark, with every reason why it is not taken."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import msgspec

from harness import variants
from harness.backends import Sampling
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.records import Instance, Report, ReportRow, Response, Run, Score
from harness.report.figures import make_report
from harness.results import Results
from harness.run import score
from harness.variants import VARIANTS
from leaderboards.checks.judged import judge_faults
from leaderboards.checks.submission import Refused, Submission, short, unplaced

SAME = 1e-6
"""Two figures that differ by no more are one: the last digits hang on the machine."""
MOST_SAMPLES = 1000
UNTRAINED = "train"
"""The split that a model may have been trained on: there is no board for it."""
ResponseKey = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Verified:
    """A submission that may be shown: its responses in the benchmark's order, all else recomputed."""

    responses: Sequence[Response]
    results: Results
    report: Report
    instances: Sequence[Instance]

    @property
    def scores(self) -> list[Score]:
        return [result.score for result in self.results.results]


def verify(submission: Submission, benchmark: Benchmark) -> Verified:
    """Raises Refused with all the reasons that were found."""
    run = submission.run
    _refuse(_asked(run, benchmark))
    _refuse(_sampled(submission))
    instances = benchmark.instances(run.split)
    expected = list(_expected(run, benchmark, instances))
    _refuse(_incomplete(expected, submission.responses))
    done = {r.key: r for r in submission.responses if r.error is None}
    responses = [done[key] for key in expected]
    results = score(benchmark, instances, responses)
    _refuse(_values(results))
    report = _report(submission, results, len(instances) * run.samples)
    _refuse(
        [
            *_scorer(submission, report),
            *_scores(submission.scores, [r.score for r in results.results]),
            *_rows(submission.report, report),
            *(f for judged in submission.judged for f in judge_faults(judged, run, results)),
        ]
    )
    return Verified(responses, results, report, instances)


def _refuse(reasons: Iterator[str] | Sequence[str]) -> None:
    found = list(reasons)
    if found:
        raise Refused(found)


def _asked(run: Run, benchmark: Benchmark) -> Iterator[str]:
    manifest = benchmark.manifest
    for name, here in (
        ("digest", manifest.digest),
        ("images_digest", manifest.images_digest),
        ("family", manifest.family),
    ):
        there = getattr(run, name)
        if there != here:
            yield f"{name}: expected {short(here, 16)} of the benchmark, the run has {short(there, 16)}"
    if run.limit is not None:
        yield f"limit: expected the whole split, got the first {run.limit} instances"
    if run.split not in benchmark.splits or run.split == UNTRAINED:
        splits = ", ".join(s for s in benchmark.splits if s != UNTRAINED)
        yield f"split: expected one of {splits}, got {short(run.split)!r}"
    unknown = [v for v in run.variants if v not in VARIANTS]
    if unknown or not run.variants or len(set(run.variants)) < len(run.variants):
        yield f"variants: expected different ones of {', '.join(VARIANTS)}, got {short(str(run.variants))}"


def _sampled(submission: Submission) -> Iterator[str]:
    run = submission.run
    try:
        sampling = msgspec.convert(dict(run.sampling), Sampling, strict=True)
    except (UserError, msgspec.ValidationError) as error:
        yield f"sampling: {error}"
        return
    if not math.isfinite(sampling.temperature):
        yield f"sampling: expected a finite temperature, got {sampling.temperature}"
    if not 1 <= run.samples <= MOST_SAMPLES:
        yield f"samples: expected 1..{MOST_SAMPLES}, got {run.samples}"
    elif run.samples > 1 and sampling.temperature == 0:
        yield "samples: greedy decoding gives the same response each time, so there is one sample"
    most = sampling.max_new_tokens
    long = [r for r in submission.responses if (r.completion_tokens or 0) > most]
    if long:
        yield (
            f"{len(long)} responses are longer than max_new_tokens, {most}: the first, "
            f"{_name(long[0].key)}, has {long[0].completion_tokens} tokens"
        )
    if submission.report.run != run:
        yield "report.json: it is the report of another run than run.json"


def _expected(run: Run, benchmark: Benchmark, instances: Sequence[Instance]) -> Iterator[ResponseKey]:
    """In the order of the run's prompts."""
    for name in run.variants:
        for instance in instances:
            if variants.prompt(instance, VARIANTS[name], benchmark.policies) is not None:
                yield from ((instance.id, name, sample) for sample in range(run.samples))


def _incomplete(expected: Sequence[ResponseKey], responses: Sequence[Response]) -> Iterator[str]:
    """Exactly one response for each prompt; a failed request may have been made again."""
    wanted = set(expected)
    if not wanted:
        yield "nothing to score: no instance has a prompt under the run's variants"
    if foreign := list(dict.fromkeys(r.key for r in responses if r.key not in wanted)):
        yield f"{len(foreign)} responses are to no prompt of this test set: {_first(foreign)}"
    told = Counter(r.key for r in responses if r.error is None)
    if twice := [key for key, count in told.items() if count > 1]:
        yield f"{len(twice)} prompts have more than one response: {_first(twice)}"
    failed = {r.key for r in responses if r.error is not None} - told.keys()
    if broken := [key for key in expected if key in failed]:
        yield (
            f"{len(broken)} of {len(wanted)} requests failed and were not made again: {_first(broken)}; "
            "the same eval command asks once more"
        )
    if missing := [key for key in expected if key not in told and key not in failed]:
        yield f"{len(missing)} of {len(wanted)} prompts have no response: {_first(missing)}"


def _values(results: Results) -> Iterator[str]:
    for result in results.results:
        for value in (result.score.value, *result.score.parts.values()):
            if value is not None and not 0 <= value <= 1:
                yield f"{_name(result.score.key)}: expected a score of 0 to 1, got {value}"
                return


def _report(submission: Submission, results: Results, possible: int) -> Report:
    """Made anew; only what describes the backend is taken from the run's own."""
    own = submission.report
    run = unplaced(submission.run)
    return make_report(run, own.backend, results, possible, own.batch_check, submission.sessions)


def _scorer(submission: Submission, report: Report) -> Iterator[str]:
    if submission.report.scorer != report.scorer:
        yield (
            f"scorer: {report.scorer!r} is installed here, the run was scored by "
            f"{short(submission.report.scorer)!r}; the same eval command scores it again"
        )


def _scores(own: Sequence[Score], ours: Sequence[Score]) -> Iterator[str]:
    repeated = [key for key, count in Counter(s.key for s in own).items() if count > 1]
    if repeated:
        yield f"scores.jsonl: {len(repeated)} responses are scored twice: {_first(repeated)}"
    told = {s.key: s for s in own}
    if told.keys() != {s.key for s in ours}:
        yield f"scores.jsonl: expected scores of {len(ours)} responses, got {len(told)}, or of others"
        return
    if wrong := [s for s in ours if not _same(told[s.key].value, s.value)]:
        s = wrong[0]
        yield (
            f"scores.jsonl: {len(wrong)} scores differ from the recomputed, the first, {_name(s.key)}: "
            f"{told[s.key].value} there, {s.value} recomputed"
        )


def _rows(own: Report, ours: Report) -> Iterator[str]:
    """Every figure that both have; a metric that is not installed here is left out, not believed."""
    told = {_place(row): row for row in own.rows}
    whole = {_place(row) for row in ours.rows if row.metric == "accuracy" and not row.group}
    if not whole <= told.keys():
        yield "report.json: the accuracy of a variant is not in it"
    wrong = [
        (told[place], row, name)
        for row in ours.rows
        if (place := _place(row)) in told
        for name in ("mean", "low", "high", "n", "unparsed", "truncated", "errors")
        if not _same(getattr(told[place], name), getattr(row, name))
    ]
    if wrong:
        there, here, name = wrong[0]
        yield (
            f"report.json: {len(wrong)} figures differ from the recomputed, the first, {name} of "
            f"{' '.join(filter(None, _place(here)))}: {getattr(there, name)} there, "
            f"{getattr(here, name)} recomputed"
        )


def _place(row: ReportRow) -> tuple[str, ...]:
    return row.variant, row.label, row.group, row.member


def _same(one: float | None, other: float | None) -> bool:
    if one is None or other is None:
        return one is other
    return abs(one - other) <= SAME


def _first(keys: Sequence[ResponseKey]) -> str:
    return ", ".join(map(_name, keys[:3])) + (" and more" if len(keys) > 3 else "")


def _name(key: ResponseKey) -> str:
    instance, variant, sample = key
    return f"{short(instance)} under {short(variant)}" + (f" (sample {sample})" if sample else "")
