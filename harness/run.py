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

import shutil
import time
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path

from harness import backends, variants
from harness.backends import Backend
from harness.backends.replicas import Checkpoint, Replicas
from harness.dialogs.turns import TurnByTurn
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.files.kinds import RESPONSES, TRAINING
from harness.metrics import metric
from harness.progress import Bar, note
from harness.records import BatchCheck, Grade, Instance, Json, Prompt, Report, Response, Run, Score, Session
from harness.report.figures import make_report, write_report
from harness.request import EvalRequest, reserve_run
from harness.results import Result, Results
from harness.sampling import scored_instances
from harness.stats.clusters import cluster
from harness.variants import VARIANTS

# How many prompts are sent again, one at a time, to check whether batching changes responses.
BATCH_CHECK = 16
# After how many responses to say that many of them were cut off.
EARLY = 16


def evaluate(benchmark: Benchmark, request: EvalRequest, out: Path, backend: Backend | None = None) -> Report:
    """Gets the missing responses, scores all of them, and writes and returns the report.

    `backend` responds in place of the one that the request names.

    Raises UserError if `out` contains a run of another request, or if every request failed. A new folder is
    removed if an error of the user occurs before the first response.
    """
    is_new = not out.exists()
    benchmark.parts(request.run_split)  # raises UserError before a folder is reserved
    run = reserve_run(benchmark, request, out)
    instances = scored_instances(benchmark, run)
    log = store.Log(out / RESPONSES, Response)
    with store.locked(log.path):
        try:
            return _evaluate(benchmark, request, run, instances, log, out, backend)
        except UserError:
            if is_new and log.path.stat().st_size == 0:
                shutil.rmtree(out)
            raise


def _evaluate(
    benchmark: Benchmark,
    request: EvalRequest,
    run: Run,
    instances: list[Instance],
    log: store.Log,
    out: Path,
    backend: Backend | None,
) -> Report:
    prompts = list(prompts_of(benchmark, run, instances))
    logged = {r.key: r for r in log.read()}
    done = {key: response for key, response in logged.items() if response.error is None}
    missing, unreadable = backends.readable(benchmark, [p for p in prompts if p.key not in done])
    for response in unreadable[:1]:
        message = f"{len(unreadable)} prompts not sent, because an image cannot be read: {response.error}"
        note(message)
    log.append(r for r in unreadable if r != logged.get(r.key))
    done |= {response.key: response for response in unreadable}
    if missing or not (out / "report.json").exists():
        with nullcontext(backend) if backend else _opened(benchmark, request, out) as backend:
            if not backend.continues and any(p.parts[-1].kind == "response" for p in missing):
                raise UserError(
                    f"model: expected one that can continue a response, such as hf:PATH, for --split "
                    f"{request.split}, got {request.model}"
                )
            if request.multi_turn:
                backend = TurnByTurn(backend, benchmark, instances, out)
            started = time.monotonic()
            done |= _collect(backend, benchmark, missing, log, total=len(prompts))
            session = Session(len(missing), time.monotonic() - started)
            store.Log(out / "sessions.jsonl", Session).append([session])
            description: Json = backend.description
            check = _check_batching(backend, prompts, done) if request.batch_check else None
    else:  # score the responses again without loading the model
        finished = store.read_json(out / "report.json", Report)
        description, check = finished.backend, finished.batch_check
    description = {"backend": request.model.partition(":")[0], **description}
    _copy_training(request.model, out)
    results = score(benchmark, instances, [done[p.key] for p in prompts])
    report = _report(run, description, results, len(instances) * run.samples, check, out)
    failed = _failures(result.response for result in results.results)
    if failed and failed.total() == len(results.results):
        ((error, _),) = failed.most_common(1)
        raise UserError(
            f"{out}: every request failed, most of them with: {error}; solve this and run the same command "
            "again, or use the folder for another model"
        )
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
    done = {r.key: r for r in store.Log(out / RESPONSES, Response).read()}
    keys = [p.key for p in prompts_of(benchmark, run, instances)]
    if all(key in done for key in keys):
        results = score(benchmark, instances, [done[key] for key in keys])
        _report(run, finished.backend, results, len(instances) * run.samples, check, out)


def _report(
    run: Run, backend: Json, results: Results, prompts_per_variant: int, check: BatchCheck | None, out: Path
) -> Report:
    store.write_lines(out / "scores.jsonl", [r.score for r in results.results])
    sessions = store.Log(out / "sessions.jsonl", Session).read()
    report = make_report(run, backend, results, prompts_per_variant, check, sessions)
    report = replace(report, responses_sha256=store.sha256(out / RESPONSES))
    write_report(report, results, out)
    return report


def score(benchmark: Benchmark, instances: list[Instance], responses: list[Response]) -> Results:
    """Grades each response. A failed request gets a score without value, with the reason."""
    by_id = {i.id: i for i in instances}
    results = []
    for response in responses:
        instance, variant = by_id[response.instance], VARIANTS[response.variant]
        target = variants.target(instance, variant)
        if target is None:
            continue
        if response.text is None:
            grade = Grade(None, f"request failed: {response.error}")
        else:
            grade = benchmark.grade(instance, target, response.text)
        graded = Score(*response.key, grade.value, grade.reason, grade.parts, cluster=cluster(instance))
        results.append(Result(instance, variant, response, graded))
    return metric.with_values(Results(benchmark, results))


def prompts_of(benchmark: Benchmark, run: Run, instances: Sequence[Instance]) -> Iterator[Prompt]:
    """The prompts of all responses that a run of these instances should have, in order."""
    for variant in (VARIANTS[name] for name in run.variants):
        for instance in instances:
            for sample in range(run.samples):
                prompt = variants.prompt(instance, variant, benchmark.policies, sample)
                if prompt is not None:
                    yield prompt


def _collect(
    backend: Backend, benchmark: Benchmark, missing: list[Prompt], log: store.Log, total: int
) -> Mapping[tuple[str, str, int], Response]:
    """Appends each response, with the digest of its prompt, to the log as soon as it arrives."""
    collected: dict[tuple[str, str, int], Response] = {}
    prompts = {p.key: p for p in missing}
    cut, early = 0, min(EARLY, len(missing))
    with Bar(total=total, initial=total - len(missing), desc="responses", unit="") as progress:
        for response in backends.storable(backend.generate(missing)):
            if response.prompt_sha256 is None:  # a replayed response has the digest of its own prompt
                digest = benchmark.prompt_sha256(prompts[response.key])
                response = replace(response, prompt_sha256=digest)
            log.append([response])
            collected[response.key] = response
            progress.update()
            cut += response.finish_reason == "length"
            if len(collected) == early and cut >= early / 4:
                message = f"{cut} of {early} were cut off: the model repeats itself, or needs more"
                note(f"{message} --max-new-tokens")
    failed = _failures(collected.values())
    for error, count in failed.most_common(1):
        note(f"{failed.total()} requests failed, {count} of them with: {error}")
    return collected


def _failures(responses: Iterable[Response]) -> Counter[str]:
    """How many requests failed, by error."""
    return Counter(response.error for response in responses if response.error is not None)


def _check_batching(
    backend: Backend, prompts: list[Prompt], done: Mapping[tuple[str, str, int], Response]
) -> BatchCheck | None:
    """Sends some prompts again, one at a time: greedy responses should not depend on their batch."""
    if not backend.batched:
        return None
    answered = [prompt for prompt in prompts if done[prompt.key].text is not None]
    checked = answered[:: max(1, len(answered) // BATCH_CHECK)][:BATCH_CHECK]
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
        differ=sum(r.text != done[r.key].text for r in alone),
        prefill_seconds={variant: sum(seconds) / len(seconds) for variant, seconds in prefills.items()},
    )
