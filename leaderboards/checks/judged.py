"""What a language model said of a run: no model is asked again, but every sum is made anew.

Checked are: the judge's id, that each judged response is the run's and was quoted as it stands (by the digest
of the prompt), that each repeat has its verdict, and that the figures follow from the verdicts.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from harness import variants
from harness.backends import Sampling
from harness.errors import UserError
from harness.judge import prompt as verdict
from harness.judge.config import JudgeRequest, sample_order
from harness.judge.prompt import MOST
from harness.judge.summary import JudgedResponse, Judgement
from harness.records import Response, Run
from harness.results import Result, Results
from harness.seeds import rng
from harness.stats.intervals import bootstrap
from harness.variants import VARIANTS
from leaderboards.checks.submission import Judged

SAME = 1e-6


class _Said(NamedTuple):
    judgement: Judgement
    verdicts: Mapping[tuple[str, str, int], Response]


@dataclass(frozen=True, slots=True)
class JudgeFigures:
    """One judge's mean on one variant, brought from 0..10 to 0..1."""

    judge: str
    variant: str
    mean: float
    low: float
    high: float
    n: int
    unparsed: int
    truncated: int
    unscored: int


def judge_id(judgement: Judgement) -> str:
    """All that one board of a judge has in common."""
    j = judgement
    digest = _judging(j).digest
    return f"{j.judge}, {j.setting} setting, {j.limit} responses, {j.repeats} repeats, {digest}"


def judge_figures(judgement: Judgement, results: Results) -> JudgeFigures | None:
    """By the judge's scores, and over the responses that have one; None where it scored nothing."""
    told = {
        (j.instance, j.variant, j.sample): j.score / MOST for j in judgement.responses if j.score is not None
    }
    if not told:
        return None
    scores = list(told.values())
    low, high = bootstrap(scores, rng(0, "judgement", judgement.benchmark_digest))
    mean = math.fsum(scores) / len(scores)
    scored = [r for r in results.results if r.response.key in told]
    return JudgeFigures(
        judge=judge_id(judgement),
        variant=judgement.variants,
        mean=mean,
        low=min(low, mean),
        high=max(high, mean),
        n=len(scores),
        unparsed=sum(r.score.reason == "unparsed" for r in scored),
        truncated=sum(r.response.finish_reason == "length" for r in scored),
        unscored=len(judgement.responses) - len(scores),
    )


def judge_faults(judged: Judged, run: Run, results: Results) -> Iterator[str]:
    """Why a judgement cannot be shown beside its run."""
    name, j, verdicts = judged
    try:
        asked = _judging(j)
    except (UserError, msgspec.ValidationError) as error:
        yield f"{name}: {error}"
        return
    if name != f"judgement.{asked.digest}.json":
        yield f"{name}: expected the name judgement.{asked.digest}.json by judge, setting and sampling"
    if (j.benchmark_digest, j.model) != (run.digest, run.model):
        yield f"{name}: it judges another model or benchmark than the run's"
    if j.judge == run.model:
        yield f"{name}: a model is not its own judge"
    if j.variants not in run.variants:
        yield f"{name}: expected one variant of the run, got {j.variants!r}; judge one at a time"
        return
    answered = {
        r.response.key: r
        for r in results.results
        if r.variant.name == j.variants and variants.policy_id(r.instance, r.variant) is not None
    }
    chosen = sorted(answered, key=sample_order)[: j.limit]
    if [(r.instance, r.variant, r.sample) for r in j.responses] != chosen:
        yield f"{name}: expected the {len(chosen)} responses of the random sample, got others"
        return
    said = _Said(j, {v.key: v for v in verdicts if v.error is None})
    wrong = [
        r for r in j.responses if not _follows(said, r, answered[r.instance, r.variant, r.sample], results)
    ]
    if wrong:
        yield (
            f"{name}: {len(wrong)} of {len(j.responses)} scores do not follow from the verdicts, "
            f"or a verdict is missing: the first of {wrong[0].instance}"
        )
    scores = [r.score for r in j.responses if r.score is not None]
    mean = math.fsum(scores) / len(scores) if scores else None
    if mean is None or j.mean is None:
        if mean is not j.mean:
            yield f"{name}: the mean is {j.mean} there, {mean} recomputed"
    elif abs(mean - j.mean) > SAME:
        yield f"{name}: the mean is {j.mean:.4f} there, {mean:.4f} recomputed"


def _judging(j: Judgement) -> JudgeRequest:
    """Raises UserError or ValidationError where no judge could have been asked so."""
    sampling = msgspec.convert(dict(j.sampling), Sampling, strict=True)
    if not 1 <= j.repeats <= 100:
        raise UserError(f"repeats: expected 1..100, got {j.repeats}")
    return JudgeRequest(j.judge, j.setting, j.variants, j.limit, j.repeats, sampling)


def _follows(said: _Said, judged: JudgedResponse, result: Result, results: Results) -> bool:
    """Whether a response's scores are those of the verdicts on this very text."""
    j, benchmark = said.judgement, results.benchmark
    policy = benchmark.policies[variants.policy_id(result.instance, VARIANTS[judged.variant]) or ""]
    text = result.response.text or ""
    scores: list[float | None] = []
    for repeat in range(j.repeats):
        prompt = verdict.prompt(j.setting, benchmark, policy, text, repeat)
        if prompt.key not in said.verdicts or prompt.instance != judged.prompt:
            return False
        scores.append(verdict.parse(j.setting, said.verdicts[prompt.key]).score)
    return _equal(scores, judged.scores)


def _equal(one: Sequence[float | None], other: Sequence[float | None]) -> bool:
    return len(one) == len(other) and all(
        a is b if a is None or b is None else abs(a - b) <= SAME for a, b in zip(one, other, strict=True)
    )
