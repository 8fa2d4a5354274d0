"""The figures of a judge on a run, and their table."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from statistics import fmean, stdev

import msgspec
from tabulate import tabulate

from harness.backends import CHANGED
from harness.judge.config import JudgeRequest, SettingName
from harness.judge.prompt import CUT_OFF, FOOLED, MAX_SCORE
from harness.metrics.metric import OUT_OF_TEN
from harness.records import Cluster, Json, Run
from harness.stats.agreement import krippendorff
from harness.stats.clusters import clusters
from harness.stats.intervals import Estimate, estimate
from harness.text import texts


@dataclass(frozen=True, slots=True)
class JudgedResponse:
    """The verdicts on one response: for each repeat a score from 0 to 10, or the reason for none."""

    instance: str
    variant: str
    sample: int
    prompt: str
    scores: tuple[float | None, ...]
    reasons: tuple[str | None, ...]
    # The referral precision of the response, by the deterministic judge; None if it states nothing.
    rules: float | None

    @property
    def score(self) -> float | None:
        """The mean of the repeats that have a score."""
        scored = [score for score in self.scores if score is not None]
        return fmean(scored) if scored else None


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
    # 95 %, over responses, which belong together if they are to one instance. It covers every score that the
    # unscored verdicts could have had.
    low: float | None
    high: float | None
    # Responses with at least one score; the mean is over these.
    n: int
    # Responses of the run that do not exist because their requests failed.
    without: int
    # Verdicts without a score, by reason. The mean excludes them.
    unscored: Mapping[str, int]
    # The mean over responses of the standard deviation of their repeats; None below two repeats.
    spread: float | None
    # The mean referral precision of the same responses by the deterministic judge, scaled to 0 to 10.
    rules_mean: float | None
    # Krippendorff's alpha of the two judges, over the responses that both of them score.
    agreement: float | None
    agreement_n: int
    responses: tuple[JudgedResponse, ...]
    # The score of each of prompt.PROBES; None without a verdict.
    probe_scores: Mapping[str, float | None] = field(default_factory=dict)
    # The score of true responses to the first judged instances, which cite true rules only.
    true_scores: Mapping[str, float | None] = field(default_factory=dict)
    # The backend's description of the judge.
    backend: Json = field(default_factory=dict)

    @property
    def judged(self) -> tuple[str, int, int]:
        """Which responses the judge was asked about, and how often."""
        return self.variants, self.limit, self.repeats

    @property
    def rejected(self) -> int:
        """The number of true responses that got no more than half of the points."""
        return sum(score is not None and score <= FOOLED for score in self.true_scores.values())

    @property
    def unscored_true(self) -> int:
        return sum(score is None for score in self.true_scores.values())

    @property
    def fooled(self) -> int:
        """The number of probes that got more than half of the points."""
        return sum(score is not None and score > FOOLED for score in self.probe_scores.values())

    @property
    def unscored_probes(self) -> int:
        return sum(score is None for score in self.probe_scores.values())


def referral(judged: Sequence[JudgedResponse], shared: Iterable[Cluster]) -> Estimate:
    """The mean score over the responses that have one, with its interval; None if none has a score.

    `shared` is what the instance of each response shares with others. Responses to one instance belong
    together, whether or not it shows anything.
    """
    if all(j.score is None for j in judged):
        return Estimate(None, None, None)
    members = (
        one._replace(images=one.images or j.instance, policy=one.policy or j.instance)
        for j, one in zip(judged, shared, strict=True)
    )
    return estimate([j.scores for j in judged], OUT_OF_TEN.bounds, clusters(members))


def summarize(
    run: Run,
    request: JudgeRequest,
    judged: Sequence[JudgedResponse],
    shared: Iterable[Cluster],
    probes: tuple[Mapping[str, float | None], Mapping[str, float | None]],
    failed: int,
    backend: Json,
) -> Judgement:
    """The figures over the judged responses.

    `shared`: what the instance of each of them shares with others. `probes`: the scores of the probes and of
    the true responses. `failed`: the number of requests of the run that failed.
    """
    mean, low, high = referral(judged, shared)
    rules = [j.rules for j in judged if j.rules is not None]
    pairs = [(j.score / MAX_SCORE, j.rules) for j in judged if j.score is not None and j.rules is not None]
    reasons = Counter(reason.partition(":")[0] for j in judged for reason in j.reasons if reason is not None)
    return Judgement(
        judge=request.judge,
        setting=request.setting,
        sampling=msgspec.to_builtins(request.sampling),
        model=run.model,
        benchmark_digest=run.digest,
        prompts_digest=hashlib.sha256("".join(j.prompt for j in judged).encode()).hexdigest(),
        variants=request.variants,
        limit=request.limit,
        repeats=request.repeats,
        mean=mean,
        low=low,
        high=high,
        n=sum(j.score is not None for j in judged),
        without=failed,
        unscored=dict(reasons),
        spread=_spread(judged),
        rules_mean=MAX_SCORE * fmean(rules) if rules else None,
        agreement=krippendorff(pairs),
        agreement_n=len(pairs),
        responses=tuple(judged),
        probe_scores=probes[0],
        true_scores=probes[1],
        backend=backend,
    )


def _spread(judged: Sequence[JudgedResponse]) -> float | None:
    """The mean standard deviation of a response's repeats."""
    scored = ([s for s in j.scores if s is not None] for j in judged)
    deviations = [stdev(scores) for scores in scored if len(scores) > 1]
    return fmean(deviations) if deviations else None


def figures(judgement: Judgement) -> dict[str, str]:
    """The figures in words by name, the same on the terminal and on the report's page."""
    j = judgement
    unscored = ", ".join(
        f"{count} {reason}" + (" (raise --max-new-tokens)" if reason == CUT_OFF else "")
        for reason, count in j.unscored.items()
    )
    written = OUT_OF_TEN.format
    changed = texts(j.backend.get(CHANGED))
    return {
        "referral, 0 to 10": f"{written(j.mean)} (95 %: {OUT_OF_TEN.interval(j.low, j.high)})",
        "responses": f"{j.n} of {len(j.responses)} scored"
        + (f"; {j.without} more have no response" if j.without else ""),
        "unscored verdicts": unscored or "0",
        "spread of repeats": f"{written(j.spread)} (standard deviation of {j.repeats})",
        "probes that fooled it": f"{j.fooled} of {len(j.probe_scores)}"
        + (f", {j.unscored_probes} unscored" if j.unscored_probes else ""),
        "true responses rejected": f"{j.rejected} of {len(j.true_scores)}"
        + (f", {j.unscored_true} unscored" if j.unscored_true else ""),
        "judge rules, 0 to 10": written(j.rules_mean),
        "agreement with rules": f"{written(j.agreement)} (Krippendorff's alpha, {j.agreement_n} responses)",
        **({CHANGED: ", ".join(changed)} if changed else {}),
    }


def table(judgement: Judgement) -> str:
    """The figures for the terminal, one per line."""
    j = judgement
    lines = {"judge": f"{j.judge}, {j.setting} setting, on {j.model} ({j.variants})", **figures(j)}
    return str(tabulate(lines.items(), tablefmt="plain", disable_numparse=True))
