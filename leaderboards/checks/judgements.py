"""Verifies judgements by a language model. The judge is not run again, but all figures are recomputed.

A judgement is accepted if its model, benchmark and responses match the run, if each verdict is on the exact
text of the response (the digest of the prompt proves this), and if all scores follow from the verdicts.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import replace
from heapq import nsmallest

import msgspec

from harness import variants
from harness.backends import Sampling
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.judge.config import JudgeRequest, same_model, sample_order
from harness.judge.prompt import MAX_SCORE, parse
from harness.judge.prompt import prompt as judge_prompt
from harness.judge.summary import JudgedResponse, Judgement, referral
from harness.records import Response, Run
from harness.results import Result, Results
from leaderboards.checks.submission import SubmittedJudgement, equal
from leaderboards.storage.records import Figures

Verdicts = Mapping[tuple[str, str, int], Response]


def why_left_out(submitted: SubmittedJudgement) -> str | None:
    """Why a judgement has no entry, although the run has; None if nothing prevents it.

    A judgement with failed requests waits. Otherwise low verdicts could be left out as failed, and an entry
    never changes.
    """
    if "," in submitted.judgement.variants:
        return (
            f"{submitted.name}: not on a board, because it is on several variants, and a board has one; run "
            "`harness judge` with one of --variants at a time, then submit the run again"
        )
    judged = {response.prompt for response in submitted.judgement.responses}
    done = {v.key for v in submitted.verdicts if v.error is None}
    failed = {v.key for v in submitted.verdicts if v.instance in judged} - done
    if failed:
        return (
            f"{submitted.name}: not on a board, because {len(failed)} requests to the judge failed; run the "
            "same `harness judge` command again to repeat them, then submit the run again"
        )
    if all(response.score is None for response in submitted.judgement.responses):
        return f"{submitted.name}: not on a board, because no verdict has a score"
    return None


def judge_id(j: Judgement) -> str:
    """Identifies the judge and its settings. All entries of a board have the same."""
    digest = _judge_request(j).digest
    return f"{j.judge}, {j.setting} setting, {j.limit} responses, {j.repeats} repeats, {digest}"


def judge_figures(judgement: Judgement, results: Results, figures: Figures) -> Figures | None:
    """The figures of a run with the judge's scores, rescaled to 0 to 1, in place of its own scores.

    The mean is over responses with a score from the judge. A response without one could have had any score,
    so it widens the interval. None if no response has a score.
    """
    keys = {(j.instance, j.variant, j.sample): None for j in judgement.responses}
    by_key = {scored.key: scored for scored in results.scored if scored.key in keys}
    judged = [by_key[key] for key in keys]
    mean, low, high = referral(judgement.responses, [scored.cluster for scored in judged])
    if mean is None or low is None or high is None:
        return None
    known = [scored for scored, j in zip(judged, judgement.responses, strict=True) if j.score is not None]
    return replace(
        figures,
        mean=mean / MAX_SCORE,
        low=low / MAX_SCORE,
        high=high / MAX_SCORE,
        n=len(known),
        unparsed=sum(scored.reason == "unparsed" for scored in known),
        truncated=sum(scored.truncated for scored in known),
        unscored=len(judged) - len(known),
    )


def judgement_errors(submitted: SubmittedJudgement, run: Run, results: Results) -> Iterator[str]:
    """Yields every reason to refuse a judgement."""
    name, j, responses = submitted
    try:
        request = _judge_request(j)
    except (UserError, msgspec.ValidationError) as error:
        yield f"{name}: {error}"
        return
    if name not in (request.file, request.old_file):
        yield f"{name}: expected the name {request.file} for its judge, settings and variants"
    if (j.benchmark_digest, j.model) != (run.digest, run.model):
        yield f"{name}: expected a judgement of the run's model and benchmark, got another one"
    if same_model(j.judge, run.model):
        yield f"{name}: expected a judge other than the judged model, {j.judge!r}"
    if j.variants not in run.variants:
        yield f"{name}: expected one variant of the run, got {j.variants!r}; judge one variant at a time"
        return
    judgeable = [
        scored
        for scored in results.scored
        if scored.variant.name == j.variants and (scored.variant.replaced or scored.cluster.policy)
    ]
    sample = nsmallest(j.limit, judgeable, key=lambda scored: sample_order(scored.key))
    chosen = [scored.key for scored in sample]
    if [(r.instance, r.variant, r.sample) for r in j.responses] != chosen:
        yield f"{name}: expected the {len(chosen)} responses of the random sample, got others"
        return
    verdicts = {v.key: v for v in responses if v.error is None}
    pairs = zip(j.responses, results.full(sample), strict=True)
    wrong = [judged for judged, r in pairs if not _follows(j, verdicts, judged, r, results.benchmark)]
    if wrong:
        yield (
            f"{name}: {len(wrong)} of {len(j.responses)} scores do not follow from the verdicts, "
            f"or a verdict is missing; the first is on {wrong[0].instance}"
        )
    scores = [r.score for r in j.responses if r.score is not None]
    mean = math.fsum(scores) / len(scores) if scores else None
    if not equal(j.mean, mean):
        yield f"{name}: the mean is {j.mean} in the file, but {mean} when recomputed"


def _judge_request(j: Judgement) -> JudgeRequest:
    """The request that these settings describe. Raises UserError or ValidationError if they are not valid."""
    sampling = msgspec.convert(dict(j.sampling), Sampling, strict=True)
    if not 1 <= j.repeats <= 100:
        raise UserError(f"repeats: expected 1..100, got {j.repeats}")
    return JudgeRequest(j.judge, j.setting, j.variants, j.limit, j.repeats, sampling)


def _follows(
    j: Judgement, verdicts: Verdicts, judged: JudgedResponse, result: Result, benchmark: Benchmark
) -> bool:
    """Whether the scores of a response follow from the verdicts on its text."""
    policy = benchmark.policies[variants.policy_id(result.instance, result.variant) or ""]
    scores: list[float | None] = []
    for repeat in range(j.repeats):
        prompt = judge_prompt(j.setting, benchmark, policy, result.response.text or "", repeat)
        if prompt.key not in verdicts or prompt.instance != judged.prompt:
            return False
        scores.append(parse(j.setting, verdicts[prompt.key]).score)
    return len(scores) == len(judged.scores) and all(map(equal, scores, judged.scores))
