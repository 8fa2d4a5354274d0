"""Verifies a submission against its benchmark. Everything that can be recomputed is recomputed.

The steps, each of which reports all of its reasons for a refusal at once:

    1. run.json                       has the digests of the benchmark, a complete split, and valid settings
    2. responses                      are complete: exactly one for each prompt, and to this prompt
    3. a scripted model               gives the same responses again
    4. scores, figures, judgements    equal those that are recomputed from the responses

The recomputed report is stored. Only the description of the backend and the batch check are copied from the
submitted report, because they cannot be recomputed.
"""

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import chain, zip_longest
from pathlib import Path

import msgspec

from harness import backends, registry
from harness.backends import Sampling, is_scripted
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import MANIFEST, Benchmark
from harness.files.kinds import RESPONSES
from harness.files.manifest import FORMAT
from harness.files.responses import StoredResponses
from harness.metrics.accuracy import ACCURACY
from harness.progress import Bar
from harness.records import MULTI_TURN, Prompt, Report, ReportRow, Run, Score
from harness.report.figures import make_report
from harness.results import Results
from harness.run import prompts_of, score
from harness.sampling import scored_instances
from harness.variants import VARIANTS
from leaderboards.checks.judgements import judgement_errors
from leaderboards.checks.submission import SCORES, Refusal, Submission, equal, shown, without_folder

MAX_SAMPLES = 1000
# The split that models are trained on has no board.
TRAINING_SPLIT = "train"
# What to do about figures of another version of the package.
SCORE_AGAIN = (
    "if another version of this package computed it, run the command that made the run again, which scores "
    "the responses again without running the model"
)
# The instance, variant and sample of a response.
ResponseKey = tuple[str, str, int]


def verify(submission: Submission, benchmark: Benchmark, folder: Path) -> tuple[Results, Report]:
    """The recomputed results and the report. Raises Refusal.

    The responses and the recomputed scores are written into the folder, in the order of the benchmark.
    """
    run, submitted, responses = submission.run, submission.report, submission.responses
    _refuse_if([*_run_errors(run, benchmark), *_backend_errors(submission)])
    _refuse_if(_sampling_errors(submission))
    instances = scored_instances(benchmark, run)

    def prompts() -> Iterator[Prompt]:
        return prompts_of(benchmark, run, instances)

    _refuse_if(_response_errors(prompts, responses, backends.retry(submitted.backend)))
    _refuse_if(_prompt_errors(benchmark, prompts(), responses))
    _refuse_if(_scripted_errors(run, benchmark, prompts, responses))
    in_order = (responses[prompt.key] for prompt in prompts())
    store.write_lines(folder / RESPONSES, in_order)
    written = StoredResponses(folder / RESPONSES)
    results = Results(benchmark, instances, written.__getitem__, run.samples)
    scores = score(results, Bar(written, total=written.prompts, desc="scoring", unit="", delay=1))
    store.write_lines(folder / SCORES, scores)
    possible = len(instances) * run.samples
    report = make_report(
        without_folder(run), submitted.backend, results, possible, submitted.batch_check, submission.sessions
    )
    _refuse_if(
        [
            *_report_errors(submitted, report),
            *_score_errors(submission.scores, folder / SCORES),
            *(error for j in submission.judgements for error in judgement_errors(j, run, results)),
        ]
    )
    return results, report


def _refuse_if(errors: Iterable[str]) -> None:
    reasons = list(errors)
    if reasons:
        raise Refusal(reasons)


def _run_errors(run: Run, benchmark: Benchmark) -> Iterator[str]:
    if benchmark.manifest.format < FORMAT:
        yield (
            f"{MANIFEST}: expected format {FORMAT}, got {benchmark.manifest.format}, whose digest does not "
            "cover everything that a board shows; generate the benchmark again and evaluate the model on it"
        )
    for field in ("digest", "images_digest", "family"):
        expected, got = getattr(benchmark.manifest, field), getattr(run, field)
        if got != expected:
            yield f"{field}: expected {shown(expected, 16)} as in the benchmark, got {shown(got, 16)}"
    if run.limit is not None:
        yield f"limit: expected a run of all instances, got {run.limit} of them"
    if run.split.endswith(MULTI_TURN):
        yield (
            "multi_turn: a run with --multi-turn cannot be submitted, because a board checks the prompt of "
            "each response, and those of later turns depend on earlier responses; submit a run of the same "
            "`harness eval` command without --multi-turn, in another folder"
        )
    elif run.split not in benchmark.splits or run.split == TRAINING_SPLIT:
        splits = ", ".join(s for s in benchmark.splits if s != TRAINING_SPLIT)
        yield f"split: expected one of {splits}, got {shown(run.split)!r}"
    unknown = [v for v in run.variants if v not in VARIANTS]
    if unknown or not run.variants or len(set(run.variants)) < len(run.variants):
        yield f"variants: expected different ones of {', '.join(VARIANTS)}, got {shown(str(run.variants))}"


def _backend_errors(submission: Submission) -> Iterator[str]:
    """The prefix of the model's name is the backend, also in the report."""
    model, described = submission.run.model, submission.report.backend.get("backend")
    known = [*registry.names(registry.BACKENDS), backends.EXTERNAL]
    prefix = model.partition(":")[0]
    if prefix not in known:
        yield f"model: expected a name that begins with one of {', '.join(known)}, got {shown(model)!r}"
    elif described != prefix:
        yield (
            f"model: expected a name that begins with the backend in report.json, {shown(str(described))!r}, "
            f"got {shown(model)!r}"
        )


def _sampling_errors(submission: Submission) -> Iterator[str]:
    run = submission.run
    try:
        sampling = msgspec.convert(dict(run.sampling), Sampling, strict=True)
    except (UserError, msgspec.ValidationError) as error:
        yield f"sampling: {error}"
        return
    if not math.isfinite(sampling.temperature):
        yield f"sampling: expected a finite temperature, got {sampling.temperature}"
    if not 1 <= run.samples <= MAX_SAMPLES:
        yield f"samples: expected 1..{MAX_SAMPLES}, got {run.samples}"
    elif run.samples > 1 and sampling.temperature == 0:
        yield f"samples: expected 1 at temperature 0, which makes all samples equal, got {run.samples}"
    limit = sampling.max_new_tokens
    too_long = (r for r in submission.responses if (r.completion_tokens or 0) > limit)
    if first := next(too_long, None):
        yield (
            f"{1 + sum(1 for _ in too_long)} responses are longer than max_new_tokens, {limit}; the first, "
            f"{_key_text(first.key)}, has {first.completion_tokens} tokens"
        )
    if submission.report.run != run:
        yield "report.json: expected the report of the run in run.json, got the report of another run"


def _response_errors(
    prompts: Callable[[], Iterable[Prompt]], responses: StoredResponses, retry: str
) -> Iterator[str]:
    """Expects exactly one response for each prompt. Failed requests that were repeated do not count."""
    count = answered = 0
    for prompt in prompts():
        count += 1
        answered += responses.answered(prompt.key)
    if not count:
        yield "nothing to score: no instance has a prompt under the run's variants"
    if not answered == responses.prompts == responses.successes == count:
        keys = [p.key for p in prompts()]
        yield from _wrong_responses(keys, [(r.key, r.error) for r in responses], retry)


def _wrong_responses(
    expected: Sequence[ResponseKey], responses: Sequence[tuple[ResponseKey, str | None]], retry: str
) -> Iterator[str]:
    expected_set = set(expected)
    if unknown := list(dict.fromkeys(key for key, _ in responses if key not in expected_set)):
        yield f"{len(unknown)} responses belong to no prompt of this test set: {_first_keys(unknown)}"
    counts = Counter(key for key, error in responses if error is None)
    if repeated := [key for key, count in counts.items() if count > 1]:
        yield f"{len(repeated)} prompts have more than one response: {_first_keys(repeated)}"
    failed_set = {key for key, error in responses if error is not None} - counts.keys()
    if failed := [key for key in expected if key in failed_set]:
        yield (
            f"{len(failed)} of {len(expected_set)} requests failed and were not repeated: "
            f"{_first_keys(failed)}; to complete the run, {retry}"
        )
    if missing := [key for key in expected if key not in counts and key not in failed_set]:
        yield f"{len(missing)} of {len(expected_set)} prompts have no response: {_first_keys(missing)}"


def _prompt_errors(
    benchmark: Benchmark, prompts: Iterable[Prompt], responses: StoredResponses
) -> Iterator[str]:
    """Responses of older runs have no digest of their prompt; the entry is marked."""
    wrong = [
        p.key for p in prompts if responses[p.key].prompt_sha256 not in (None, benchmark.prompt_sha256(p))
    ]
    if wrong:
        yield (
            f"{len(wrong)} responses are to other prompts than those of this benchmark and variant: "
            f"{_first_keys(wrong)}; evaluate the model again in a new folder"
        )


def _scripted_errors(
    run: Run, benchmark: Benchmark, prompts: Callable[[], Iterable[Prompt]], responses: StoredResponses
) -> Iterator[str]:
    """A scripted model costs nothing, so it is asked again."""
    if is_scripted(run.model):
        sampling = msgspec.convert(dict(run.sampling), Sampling, strict=True)
        backend = backends.make(run.model, benchmark, sampling)
        again = chain.from_iterable(map(backend.generate, backends.portions(backend, prompts())))
        if wrong := [r.key for r in again if r.text != responses[r.key].text]:
            yield (
                f"{len(wrong)} responses differ from those of the model {run.model}: {_first_keys(wrong)}; "
                "evaluate it again in a new folder"
            )


def _score_errors(submitted: Path, recomputed: Path) -> Iterator[str]:
    pairs = zip_longest(*(store.read_lines(path, Score) for path in (submitted, recomputed)))
    if not all(
        one and other and one.key == other.key and equal(one.value, other.value) for one, other in pairs
    ):
        yield from _wrong_scores(*(list(store.read_lines(path, Score)) for path in (submitted, recomputed)))


def _wrong_scores(submitted: Sequence[Score], recomputed: Sequence[Score]) -> Iterator[str]:
    if repeated := [key for key, count in Counter(s.key for s in submitted).items() if count > 1]:
        yield f"scores.jsonl: {len(repeated)} responses have more than one score: {_first_keys(repeated)}"
    by_key = {s.key: s for s in submitted}
    if by_key.keys() != {s.key for s in recomputed}:
        expected = f"scores.jsonl: expected scores of {len(recomputed)} responses"
        yield f"{expected}, got scores of {len(by_key)}, which are not the same responses"
        return
    if wrong := [s for s in recomputed if not equal(by_key[s.key].value, s.value)]:
        first = wrong[0]
        yield (
            f"scores.jsonl: {len(wrong)} scores are wrong; the first, {_key_text(first.key)}, is "
            f"{by_key[first.key].value} in the file, but {first.value} when recomputed; {SCORE_AGAIN}"
        )


def _report_errors(submitted: Report, recomputed: Report) -> Iterator[str]:
    """Compares the figures that both reports have: the submitter may have other metrics installed."""
    if submitted.scorer != recomputed.scorer:
        yield (
            f"scorer: expected {recomputed.scorer!r}, which is installed here, got "
            f"{shown(submitted.scorer)!r}; {SCORE_AGAIN}"
        )
    by_key = {_row_key(row): row for row in submitted.rows}
    accuracies = {_row_key(r) for r in recomputed.rows if r.label == ACCURACY.name and not r.group}
    if not accuracies <= by_key.keys():
        yield "report.json: expected the accuracy of every variant, got a report without one"
    wrong = [
        (by_key[key], row, field)
        for row in recomputed.rows
        if (key := _row_key(row)) in by_key
        for field in ("mean", "low", "high", "n", "unparsed", "truncated", "errors")
        if not equal(getattr(by_key[key], field), getattr(row, field))
    ]
    if wrong:
        there, here, field = wrong[0]
        yield (
            f"report.json: {len(wrong)} figures are wrong; the first, {field} of "
            f"{' '.join(filter(None, _row_key(here)))}, is {getattr(there, field)} in the file, but "
            f"{getattr(here, field)} when recomputed; {SCORE_AGAIN}"
        )


def _row_key(row: ReportRow) -> tuple[str, ...]:
    return row.variant, row.label, row.group, row.member


def _first_keys(keys: Sequence[ResponseKey]) -> str:
    return ", ".join(map(_key_text, keys[:3])) + (" and more" if len(keys) > 3 else "")


def _key_text(key: ResponseKey) -> str:
    instance, variant, sample = key
    return f"{shown(instance)} under {shown(variant)}" + (f" (sample {sample})" if sample else "")
