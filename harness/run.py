"""The evaluation of a model: send prompts, append responses as they arrive, then score and report.

    RUN/run.json         the request (request.py)
        responses.jsonl  one line per response, appended at once: the only file that cannot be recreated
        sessions.jsonl   the duration of each session
        turns.jsonl      with --multi-turn, one line per turn (turns.py): responses are made of them
        scores.jsonl     one line per score          | recreated from the responses
        report.json      all figures                 | each time the run is scored
        report.html      the page to read            |
        training.json    a copy of the checkpoint's, if it has one

A run that was killed at any moment resumes when the same command is run again: responses on disk are read,
and only prompts without a successful response are sent.
"""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from harness import backends, variants
from harness.backends import Backend
from harness.backends.readable_prompts import ReadablePrompts
from harness.backends.replicas import Checkpoint, Replicas
from harness.dialogs.turns import TurnByTurn
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.files.kinds import RESPONSES, TRAINING
from harness.files.responses import StoredResponses
from harness.files.workdir import using
from harness.metrics import metric
from harness.progress import Bar, note
from harness.records import BatchCheck, Instance, Json, Prompt, Report, Response, Run, Score, Session
from harness.report.figures import make_report, write_report
from harness.request import EvalRequest, reserve_run
from harness.results import Result, Results
from harness.sampling import ScoredInstances, scored_instances
from harness.variants import VARIANTS

# How many prompts are sent again, one at a time, to check whether batching changes responses.
BATCH_CHECK = 16
# After how many responses to say that many of them were cut off.
EARLY = 16


class AllFailed(UserError):
    """Every request failed; `reason` says why, without the folder."""

    def __init__(self, out: Path, error: str, backend: Json) -> None:
        self.reason = f"every request failed, most of them with: {error}"
        advice = f"solve this and {backends.retry(backend)}, or use the folder for another model"
        super().__init__(f"{out}: {self.reason}; {advice}")


def evaluate(benchmark: Benchmark, request: EvalRequest, out: Path, backend: Backend | None = None) -> Report:
    """Gets the missing responses, scores all of them, and writes and returns the report.

    `backend` responds in place of the one that the request names.

    Raises UserError if another process uses `out`, if it contains a run of another request, or if every
    request failed. A new folder is removed if an error of the user occurs before the model has done any work.
    """
    benchmark.parts(request.run_split)  # raises UserError before a folder is reserved
    with using(out, "run.json", "a run", lock=RESPONSES):
        run = reserve_run(benchmark, request, out)
        return _evaluate(benchmark, request, run, scored_instances(benchmark, run), out, backend)


def _evaluate(
    benchmark: Benchmark,
    request: EvalRequest,
    run: Run,
    instances: ScoredInstances,
    out: Path,
    backend: Backend | None,
) -> Report:
    responses = StoredResponses(out / RESPONSES)

    def prompts() -> Iterator[Prompt]:
        return prompts_of(benchmark, run, instances)

    require_one(prompts(), run.split, ",".join(run.variants))

    def unanswered() -> Iterator[Prompt]:
        return (prompt for prompt in prompts() if not responses.answered(prompt.key))

    pending = ReadablePrompts(benchmark, unanswered)
    pending.note_failures()
    responses.append(failed for failed in pending.failures if failed != responses.get(failed.key))
    if len(pending) or not (out / "report.json").exists():
        with nullcontext(backend) if backend else _opened(benchmark, request, out) as backend:
            if pending.continues and not backend.continues:
                raise UserError(
                    f"model: expected one that can continue a response, such as hf:PATH, for --split "
                    f"{request.split}, got {request.model}"
                )
            if request.multi_turn:
                backend = TurnByTurn(backend, benchmark, instances, out)
            started = time.monotonic()
            _collect(backend, benchmark, pending, responses)
            # The speed of a script, or of reading responses from a file, is not that of a model.
            if not (backend.instant or backends.is_scripted(request.model)):
                session = Session(len(pending), time.monotonic() - started)
                store.Log(out / "sessions.jsonl", Session).append([session])
            description: Json = backend.description
            check = _check_batching(backend, prompts, responses) if request.batch_check else None
    else:  # score the responses again without loading the model
        finished = store.read_json(out / "report.json", Report)
        description, check = finished.backend, finished.batch_check
    description = {"backend": request.model.partition(":")[0], **description}
    _copy_training(request.model, out)
    results = Results(benchmark, instances, responses.__getitem__, run.samples)
    in_order = _in_order(prompts(), responses)
    report = _report(run, description, results, in_order, len(instances) * run.samples, check, out)
    if results.scored and all(scored.failed for scored in results.scored):
        ((error, _),) = Counter(results.response(s.key).error for s in results.scored).most_common(1)
        raise AllFailed(out, str(error), description)
    return report


@contextmanager
def _opened(benchmark: Benchmark, request: EvalRequest, out: Path) -> Iterator[Backend]:
    """The backend that a request names; within the context, its replicas run."""
    model, sampling, trusted = request.model, request.sampling, request.trust_remote_code
    if request.replicas is None:
        yield backends.make(model, benchmark, sampling, request.endpoint, out, trusted)
        return
    with request.processes.open(request.replicas, gpus=True) as engine:
        yield Replicas(Checkpoint(model, benchmark.folder.resolve(), sampling, trusted), engine)


def _copy_training(model: str, out: Path) -> None:
    """Copies the training.json of a local checkpoint into the run: a leaderboard reads only the run."""
    path = Path(backends.location(model)) / TRAINING
    if ":" in model and path.is_file():
        store.write(out / TRAINING, path.read_bytes())


def report_again(benchmark: Benchmark, out: Path) -> None:
    """Scores the responses of a finished run again and writes its report, without sending a prompt.

    Does nothing for an unfinished run, which gets its report when it is completed.
    """
    if not (out / "report.json").exists():
        return
    finished = store.read_json(out / "report.json", Report)
    run, check = finished.run, finished.batch_check
    instances = scored_instances(benchmark, run)
    responses = StoredResponses(out / RESPONSES)

    def prompts() -> Iterator[Prompt]:
        return prompts_of(benchmark, run, instances)

    if all(responses.get(prompt.key) for prompt in prompts()):
        results = Results(benchmark, instances, responses.__getitem__, run.samples)
        in_order = _in_order(prompts(), responses)
        _report(run, finished.backend, results, in_order, len(instances) * run.samples, check, out)


def _in_order(prompts: Iterable[Prompt], responses: StoredResponses) -> Iterator[Response]:
    """The response to each prompt, with a bar for what is done with it."""
    for prompt in Bar(prompts, total=responses.prompts, desc="scoring", unit="", delay=1):
        yield responses[prompt.key]


def _report(
    run: Run,
    backend: Json,
    results: Results,
    responses: Iterable[Response],
    prompts_per_variant: int,
    check: BatchCheck | None,
    out: Path,
) -> Report:
    store.write_lines(out / "scores.jsonl", score(results, responses))
    sessions = store.Log(out / "sessions.jsonl", Session).read()
    report = make_report(run, backend, results, prompts_per_variant, check, sessions)
    report = replace(report, responses_sha256=store.sha256(out / RESPONSES))
    write_report(report, results, out)
    return report


def score(results: Results, responses: Iterable[Response]) -> Iterator[Score]:
    """Grades responses, adds what metrics keep of them to the results, and yields their scores.

    Responses in the order of the instances are graded in one pass over the instances for each variant.
    """
    return metric.collect(results, _graded(results, responses))


def _graded(results: Results, responses: Iterable[Response]) -> Iterator[Result]:
    for response, instance in _in_step(responses, results.instances):
        variant = VARIANTS[response.variant]
        target = variants.target(instance, variant)
        if target is not None:
            yield results.grade(instance, variant, target, response)


def _in_step(
    responses: Iterable[Response], instances: Iterable[Instance]
) -> Iterator[tuple[Response, Instance]]:
    """Each response with its instance. Raises KeyError if there is none."""
    following: Iterator[Instance] = iter(())
    instance: Instance | None = None
    for response in responses:
        if instance is None or instance.id != response.instance:
            rest, following = following, iter(instances)
            instance = next((i for i in rest if i.id == response.instance), None)
            if instance is not None:
                following = rest
            else:  # from the first instance again
                instance = next((i for i in following if i.id == response.instance), None)
            if instance is None:
                raise KeyError(response.instance)
        yield response, instance


def prompts_of(benchmark: Benchmark, run: Run, instances: Iterable[Instance]) -> Iterator[Prompt]:
    """The prompts of all responses that a run of these instances should have, in order."""
    for variant in (VARIANTS[name] for name in run.variants):
        for instance in instances:
            for sample in range(run.samples):
                prompt = variants.prompt(instance, variant, benchmark.policies, sample)
                if prompt is not None:
                    yield prompt


def require_one(prompts: Iterable[object], split: str, variants: str) -> None:
    """Raises UserError if a request has no prompt, such as that of the split recall under override."""
    if next(iter(prompts), None) is None:
        expected = f"one under which an instance of the split {split} has a prompt"
        raise UserError(f"variants: expected {expected}, got {variants}")


def _responses(backend: Backend, benchmark: Benchmark, prompts: Iterable[Prompt]) -> Iterator[Response]:
    """Each response with the digest of its prompt, as soon as it arrives."""
    for portion in backends.portions(backend, prompts):
        sent = {prompt.key: prompt for prompt in portion}
        for response in backends.storable(backend.generate(portion)):
            if response.prompt_sha256 is None:  # a replayed response has the digest of its own prompt
                digest = benchmark.prompt_sha256(sent[response.key])
                response = replace(response, prompt_sha256=digest)
            yield response


def _collect(
    backend: Backend, benchmark: Benchmark, pending: ReadablePrompts, responses: StoredResponses
) -> None:
    """Stores each response as soon as it arrives."""
    failed: Counter[str] = Counter()
    cut, count, early = 0, 0, min(EARLY, len(pending))
    stored = responses.successes
    with Bar(total=stored + len(pending), initial=stored, desc="responses", unit="") as progress:
        for response in _responses(backend, benchmark, pending):
            responses.append([response])
            progress.update()
            count += 1
            cut += response.finish_reason == "length"
            if count == early and cut >= early / 4:
                message = f"{cut} of {early} were cut off: the model repeats itself, or needs more"
                note(f"{message} --max-new-tokens")
            if response.error is not None:
                failed[response.error] += 1
    for error, times in failed.most_common(1):
        note(f"{failed.total()} of {count} requests failed, {times} with: {error}")


def _check_batching(
    backend: Backend, prompts: Callable[[], Iterable[Prompt]], responses: StoredResponses
) -> BatchCheck | None:
    """Sends some prompts again, one at a time: greedy responses should not depend on their batch."""
    if not backend.batched:
        return None
    answered = [key for prompt in prompts() if responses.answered(key := prompt.key)]
    chosen = set(answered[:: max(1, len(answered) // BATCH_CHECK)][:BATCH_CHECK])
    checked = [prompt for prompt in prompts() if prompt.key in chosen]
    alone: list[Response] = []
    for prompt in Bar(checked, desc="batch check: again, one at a time", unit=""):
        backend.forget()
        alone += backend.generate([prompt])
    prefills: dict[str, list[float]] = {}
    for response in alone:
        if response.prefill_seconds is not None:
            prefills.setdefault(response.variant, []).append(response.prefill_seconds)
    return BatchCheck(
        asked=len(alone),
        differ=sum(r.text != responses[r.key].text for r in alone),
        prefill_seconds={variant: sum(seconds) / len(seconds) for variant, seconds in prefills.items()},
    )
