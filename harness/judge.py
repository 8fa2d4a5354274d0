"""`harness judge`: a language model scores how truly a run's responses cite their policy (paper, Referral).

The judge's words are appended to RUN/verdicts.<digest>.jsonl as they come, and are never asked for twice: the
digest is of the judge, the setting and the sampling; a line's instance is the digest of the prompt, which
holds instructions, policy and response, and its sample is the repeat. The figures go to
RUN/judgement.<digest>.json.
"""

from __future__ import annotations

import hashlib
import math
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from tqdm import tqdm

from harness import backends, store, variants, verdict
from harness.agreement import krippendorff
from harness.backends import Backend, Endpoint, Sampling
from harness.benchmark import Benchmark
from harness.canaries import CANARIES, FOOLED
from harness.errors import UserError
from harness.intervals import bootstrap
from harness.metrics.referral import precision
from harness.records import Instance, Json, Policy, Prompt, Response, Run
from harness.seeds import rng
from harness.variants import VARIANTS, Variant
from harness.verdict import MOST, Reading, SettingName

SCRIPTED = ("oracle", "random", "majority")


@dataclass(frozen=True)
class Judging:
    """What `harness judge` is asked for."""

    judge: str
    """Who judges, as in --model of eval, such as anthropic:NAME; never the run's own model."""
    setting: SettingName = "structured"
    """paper: free analysis, then a score. structured: each citation beside the true rule, then a score."""
    variants: str = "internalized"
    """Comma-separated: which of the run's variants to judge."""
    limit: int = 100
    """How many responses, chosen by a lot that is the same for every run of the benchmark."""
    repeats: int = 1
    """How many times each response is judged."""
    sampling: Sampling = field(default_factory=lambda: Sampling(max_new_tokens=4096))
    endpoint: Endpoint = field(default_factory=Endpoint)

    def __post_init__(self) -> None:
        variants.parse(self.variants)
        for name in ("limit", "repeats"):
            if getattr(self, name) < 1:
                raise UserError(f"{name}: expected 1 or more, got {getattr(self, name)}")
        if self.judge.partition(":")[0] in SCRIPTED:
            raise UserError(f"judge: expected a model that can read, such as hf:PATH, got {self.judge}")

    @property
    def digest(self) -> str:
        """Names the files: what verdicts depend on besides their prompts."""
        asked = [self.judge, self.setting, self.sampling]
        return hashlib.sha256(msgspec.json.encode(asked)).hexdigest()[:12]


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


@dataclass(frozen=True, slots=True)
class _Case:
    """A response of the run, and the policy that it should cite."""

    instance: Instance
    variant: Variant
    response: Response
    policy: Policy


def judge(folder: Path, asked: Judging) -> Judgement:
    """Asks the judge for what is missing, then sums up; UserError where there is nothing it may judge."""
    run = store.read_json(folder / "run.json", Run)
    _refuse_itself(asked.judge, run)
    benchmark = Benchmark(Path(run.benchmark))
    if benchmark.manifest.digest != run.digest:
        raise UserError(
            f"{folder}: its benchmark has digest {run.digest[:12]}…, {run.benchmark} has "
            f"{benchmark.manifest.digest[:12]}…: put back the benchmark that the run was made on"
        )
    cases, without = _cases(folder, run, benchmark, asked)
    prompts = [
        [
            verdict.prompt(asked.setting, benchmark, c.policy, c.response.text or "", k)
            for k in range(asked.repeats)
        ]
        for c in cases
    ]
    canaries = {
        name: verdict.prompt(asked.setting, benchmark, cases[0].policy, text)
        for name, text in CANARIES.items()
    }
    said = _ask(folder, benchmark, asked, [*canaries.values(), *(p for ps in prompts for p in ps)])
    judged = [
        _judged(benchmark, case, ps, [verdict.read(asked.setting, said[p.key]) for p in ps])
        for case, ps in zip(cases, prompts, strict=True)
    ]
    attacks = {name: verdict.read(asked.setting, said[p.key]).score for name, p in canaries.items()}
    judgement = _sum_up(run, asked, judged, attacks, without)
    store.write_json(folder / f"judgement.{asked.digest}.json", judgement)
    return judgement


def _refuse_itself(judge: str, run: Run) -> None:
    """A model is not its own judge, whether its run is its own or one played again."""
    if _same(judge, run.model):
        raise UserError(f"judge: expected another model than the run's own, got {judge}")
    name, _, argument = run.model.partition(":")
    if name == "replay" and (Path(argument) / "run.json").is_file():
        _refuse_itself(judge, store.read_json(Path(argument) / "run.json", Run))


def _same(one: str, other: str) -> bool:
    (kind, _, where), (other_kind, _, other_where) = one.partition(":"), other.partition(":")
    return kind == other_kind and (
        where == other_where or Path(where).resolve() == Path(other_where).resolve()
    )


def _cases(folder: Path, run: Run, benchmark: Benchmark, asked: Judging) -> tuple[list[_Case], int]:
    """The responses to judge, by lot, and how many of the run never came.

    A lot, not the first: benchmarks order instances by policy or in turn, and a few must stand for all.
    """
    chosen = variants.parse(asked.variants)
    missing = [v.name for v in chosen if v.name not in run.variants]
    if missing:
        raise UserError(f"variants: expected some of the run's ({', '.join(run.variants)}), got {missing[0]}")
    instances = {i.id: i for i in benchmark.instances(run.split)}
    # A request that failed and was made again is there twice: the last line counts.
    responses = {r.key: r for r in store.Log(folder / "responses.jsonl", Response).read()}
    cases, without = [], 0
    for response in responses.values():
        variant, instance = VARIANTS[response.variant], instances[response.instance]
        policy = variants.policy_id(instance, variant)
        if variant in chosen and policy is not None:
            if response.text is None:
                without += 1
            else:
                cases.append(_Case(instance, variant, response, benchmark.policies[policy]))
    if not cases:
        raise UserError(
            f"{folder}: expected responses that a policy governs under {asked.variants}, got none to judge"
        )
    cases.sort(key=lambda case: (rng(0, "judged", *case.response.key).random(), case.response.key))
    return cases[: asked.limit], without


def _ask(
    folder: Path, benchmark: Benchmark, asked: Judging, prompts: Sequence[Prompt]
) -> Mapping[tuple[str, str, int], Response]:
    """The judge's words to every prompt: those on disk, and those that come now. A failure is asked again."""
    log = store.Log(folder / f"verdicts.{asked.digest}.jsonl", Response)
    said = {r.key: r for r in log.read() if r.error is None}
    # Equal responses to equal policies make equal prompts, which are asked once.
    every = {p.key: p for p in prompts}
    missing = [p for key, p in every.items() if key not in said]
    if missing:
        backend = backends.make(asked.judge, benchmark, asked.sampling, asked.endpoint, folder)
        with tqdm(total=len(every), initial=len(every) - len(missing), desc="verdicts", unit="") as progress:
            for response in _generate(backend, asked.setting, missing):
                log.append([response])
                said[response.key] = response
                progress.update()
    return said


def _generate(backend: Backend, setting: SettingName, prompts: Sequence[Prompt]) -> Iterator[Response]:
    """By forced structured output where the backend has it."""
    structured = getattr(backend, "structured", None)
    if setting == "structured" and structured is not None:
        responses: Iterator[Response] = structured(prompts, verdict.schema())
        return responses
    return backend.generate(prompts)


def _judged(
    benchmark: Benchmark, case: _Case, prompts: Sequence[Prompt], readings: Sequence[Reading]
) -> Judged:
    claims = benchmark.family.claims(case.instance, case.variant, case.response.text or "")
    return Judged(
        *case.response.key,
        prompt=prompts[0].instance,
        scores=tuple(reading.score for reading in readings),
        reasons=tuple(reading.reason for reading in readings),
        rules=precision(claims),
    )


def _sum_up(
    run: Run, asked: Judging, judged: Sequence[Judged], attacks: Mapping[str, float | None], without: int
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


def table(judgement: Judgement) -> str:
    """The figures, one line each, for the terminal."""
    j = judgement
    unscored = ", ".join(f"{count} {reason}" for reason, count in j.unscored.items())
    lines = {
        "judge": f"{j.judge}, {j.setting} setting, on {j.model} ({j.variants})",
        "referral, 0 to 10": f"{_figure(j.mean)} ({_figure(j.low)} to {_figure(j.high)})",
        "responses": f"{j.n} of {len(j.responses)} scored"
        + (f"; {j.without} never came" if j.without else ""),
        "unscored verdicts": unscored or "0",
        "spread of repeats": f"{_figure(j.spread)} (standard deviation of {j.repeats})",
        "canaries fooled": f"{j.canaries_fooled} of {j.canaries}"
        + (f", {j.canaries_unscored} unscored" if j.canaries_unscored else ""),
        "judge rules, 0 to 10": _figure(j.rules_mean),
        "agreement with rules": f"{_figure(j.agreement)} (Krippendorff's alpha, {j.agreement_n} responses)",
    }
    width = max(map(len, lines))
    return "\n".join(f"{name:<{width}}  {value}" for name, value in lines.items())


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"
