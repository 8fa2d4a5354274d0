"""The figures of a judge on a run: what its verdicts sum up to, and a table of it."""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec

from harness.judge.config import JudgeRequest
from harness.judge.probes import FOOLED
from harness.judge.prompt import MOST, SettingName
from harness.records import Json, Run
from harness.seeds import rng
from harness.stats.agreement import krippendorff
from harness.stats.intervals import bootstrap


@dataclass(frozen=True, slots=True)
class Judged:
    """One response, each repeat's score (0 to 10) or the reason why there is none, and the other judge's."""

    instance: str
    variant: str
    sample: int
    prompt: str
    scores: tuple[float | None, ...]
    reasons: tuple[str | None, ...]
    rules: float | None
    """The share of what it claims that is true, by the deterministic judge; None where it claims nothing."""

    @property
    def score(self) -> float | None:
        """The mean of the repeats that have a score."""
        scored = [score for score in self.scores if score is not None]
        return math.fsum(scored) / len(scored) if scored else None


@dataclass(frozen=True, slots=True)
class Judgement:
    """The figures of one judge on one run. Scores are from 0 to 10, the paper's scale."""

    judge: str
    setting: SettingName
    sampling: Json
    model: str
    benchmark_digest: str
    prompts_digest: str
    variants: str
    limit: int
    repeats: int
    mean: float | None
    low: float | None
    high: float | None
    """95 % by bootstrap over responses."""
    n: int
    """Responses with at least one score; the mean is over these."""
    without: int
    """Responses of the run that never came (failed requests): nothing there to judge."""
    unscored: Mapping[str, int]
    """Verdicts without a score, by reason: in no mean."""
    spread: float | None
    """The mean over responses of the standard deviation of their repeats; None below two repeats."""
    canaries: int
    canaries_fooled: int
    """Planted attacks with more than half marks."""
    canaries_unscored: int
    canary_scores: Mapping[str, float | None]
    rules_mean: float | None
    """The deterministic judge's mean of the same responses, brought to 0 to 10."""
    agreement: float | None
    """Krippendorff's alpha of the two judges, over the responses that both have scored."""
    agreement_n: int
    responses: tuple[Judged, ...]


def sum_up(
    run: Run, asked: JudgeRequest, judged: Sequence[Judged], attacks: Mapping[str, float | None], without: int
) -> Judgement:
    scores = [j.score for j in judged if j.score is not None]
    low, high = bootstrap(scores, rng(0, "judgement", run.digest)) if scores else (None, None)
    rules = [j.rules for j in judged if j.rules is not None]
    pairs = [(j.score / MOST, j.rules) for j in judged if j.score is not None and j.rules is not None]
    reasons = Counter(reason.partition(":")[0] for j in judged for reason in j.reasons if reason is not None)
    return Judgement(
        judge=asked.judge,
        setting=asked.setting,
        sampling=msgspec.to_builtins(asked.sampling),
        model=run.model,
        benchmark_digest=run.digest,
        prompts_digest=hashlib.sha256("".join(j.prompt for j in judged).encode()).hexdigest(),
        variants=asked.variants,
        limit=asked.limit,
        repeats=asked.repeats,
        mean=math.fsum(scores) / len(scores) if scores else None,
        low=low,
        high=high,
        n=len(scores),
        without=without,
        unscored=dict(reasons),
        spread=_spread(judged),
        canaries=len(attacks),
        canaries_fooled=sum(score is not None and score > FOOLED for score in attacks.values()),
        canaries_unscored=sum(score is None for score in attacks.values()),
        canary_scores=attacks,
        rules_mean=MOST * math.fsum(rules) / len(rules) if rules else None,
        agreement=krippendorff(pairs),
        agreement_n=len(pairs),
        responses=tuple(judged),
    )


def _spread(judged: Sequence[Judged]) -> float | None:
    """The mean standard deviation (n - 1) of a response's repeats."""
    deviations = []
    for scored in ([s for s in j.scores if s is not None] for j in judged):
        if len(scored) > 1:
            mean = math.fsum(scored) / len(scored)
            deviations.append(math.sqrt(math.fsum((s - mean) ** 2 for s in scored) / (len(scored) - 1)))
    return math.fsum(deviations) / len(deviations) if deviations else None


def figures(judgement: Judgement) -> dict[str, str]:
    """By name, in words: the same on the terminal and on the report's page."""
    j = judgement
    unscored = ", ".join(f"{count} {reason}" for reason, count in j.unscored.items())
    return {
        "referral, 0 to 10": f"{_figure(j.mean)} (95 %: {_figure(j.low)} to {_figure(j.high)})",
        "responses": f"{j.n} of {len(j.responses)} scored"
        + (f"; {j.without} never came" if j.without else ""),
        "unscored verdicts": unscored or "0",
        "spread of repeats": f"{_figure(j.spread)} (standard deviation of {j.repeats})",
        "canaries fooled": f"{j.canaries_fooled} of {j.canaries}"
        + (f", {j.canaries_unscored} unscored" if j.canaries_unscored else ""),
        "judge rules, 0 to 10": _figure(j.rules_mean),
        "agreement with rules": f"{_figure(j.agreement)} (Krippendorff's alpha, {j.agreement_n} responses)",
    }


def table(judgement: Judgement) -> str:
    """The figures, one line each, for the terminal."""
    j = judgement
    lines = {"judge": f"{j.judge}, {j.setting} setting, on {j.model} ({j.variants})", **figures(j)}
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines.items())


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
