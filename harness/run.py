"""The evaluation of a model: send prompts, append responses as they arrive, then score and report.

    RUN/run.json         the request; another request for the same folder is refused
        responses.jsonl  one line per response, appended at once: the only file that cannot be recreated
        sessions.jsonl   the duration of each session
        scores.jsonl     one line per score          | recreated from the responses
        report.json      all figures                 | each time the run is scored
        report.html      the page to read            |

A run that was killed at any moment resumes when the same command is run again: responses on disk are read,
and only prompts without a successful response are sent.
"""

import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import msgspec
from tqdm import tqdm
from tyro.conf import arg

from harness import backends, variants
from harness.backends import Backend, Endpoint, Sampling
from harness.backends.identity import TRUSTED, identity
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.files.workdir import reserve
from harness.metrics import metric
from harness.records import BatchCheck, Instance, Json, Prompt, Report, Response, Run, Score, Session
from harness.report.figures import make_report, write_report
from harness.results import Result, Results
from harness.variants import VARIANTS

# How many prompts are sent again, one at a time, to check whether batching changes responses.
BATCH_CHECK = 16
# After how many responses to say that many of them were cut off.
EARLY = 16
# The flags that set the fields of a run which have other names.
FLAGS = {
    "digest": "benchmark",
    "images_digest": "benchmark",
    "family": "benchmark",
    "weights": "model",
    "identity": "model",
    "address": "base_url",
    TRUSTED: "trust_remote_code",
}


@dataclass(frozen=True)
class EvalRequest:
    """The request of `harness eval`: its fields are the flags of the command."""

    model: Annotated[str, arg(metavar="BACKEND[:ARGUMENT]", help=backends.model_help())]
    variants: str = ",".join(VARIANTS)
    """Comma-separated: which policy governs the answer, and whether the model is shown it."""
    split: str = "test"
    """The split of the benchmark to score."""
    limit: int | None = None
    """Use only the first N instances."""
    samples: int = 1
    """Responses per prompt."""
    sampling: Sampling = field(default_factory=Sampling)
    endpoint: Endpoint = field(default_factory=Endpoint)
    trust_remote_code: bool = False
    """Run the code that a checkpoint of hf: or vllm: ships. It can do anything you can: read it first."""
    batch_check: bool = True
    """Send 16 prompts again, one at a time, to check that batching changes no response and to measure the
    time to the first token."""

    def __post_init__(self) -> None:
        variants.parse(self.variants)
        for name in ("limit", "samples"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name}: expected 1 or more, got {value}")
        if self.samples > 1 and self.sampling.temperature == 0:
            raise UserError(
                f"samples: expected 1 with greedy decoding, got {self.samples}; set --temperature above 0"
            )


def evaluate(benchmark: Benchmark, request: EvalRequest, out: Path) -> Report:
    """Gets the missing responses, scores all of them, and writes and returns the report.

    Raises UserError if `out` contains a run of another request.
    """
    instances = benchmark.instances(request.split)[: request.limit]
    run = _reserved(out, _run(benchmark, request))
    log = store.Log(out / "responses.jsonl", Response)
    with store.locked(log.path):
        return _evaluate(benchmark, request, run, instances, log, out)


def _evaluate(
    benchmark: Benchmark, request: EvalRequest, run: Run, instances: list[Instance], log: store.Log, out: Path
) -> Report:
    prompts = list(_prompts(benchmark, run, instances))
    done = {r.key: r for r in log.read() if r.error is None}
    missing = [p for p in prompts if p.key not in done]
    if missing or not (out / "report.json").exists():
        backend = backends.make(
            request.model, benchmark, request.sampling, request.endpoint, out, request.trust_remote_code
        )
        started = time.monotonic()
        done |= _collect(backend, missing, log, total=len(prompts))
        session = Session(len(missing), time.monotonic() - started)
        store.Log(out / "sessions.jsonl", Session).append([session])
        description: Json = backend.description
        check = _check_batching(backend, prompts, done) if request.batch_check else None
    else:  # score the responses again without loading the model
        finished = store.read_json(out / "report.json", Report)
        description, check = finished.backend, finished.batch_check
    results = score(benchmark, instances, [done[p.key] for p in prompts])
    return _report(run, description, results, len(instances) * run.samples, check, out)


def report_again(benchmark: Benchmark, out: Path) -> None:
    """Scores the responses of a finished run again and writes its report, without sending a prompt.

    Does nothing for an unfinished run, which gets its report when it is completed.
    """
    if not (out / "report.json").exists():
        return
    finished = store.read_json(out / "report.json", Report)
    run, check = finished.run, finished.batch_check
    instances = benchmark.instances(run.split)[: run.limit]
    done = {r.key: r for r in store.Log(out / "responses.jsonl", Response).read()}
    keys = [p.key for p in _prompts(benchmark, run, instances)]
    if all(key in done for key in keys):
        results = score(benchmark, instances, [done[key] for key in keys])
        _report(run, finished.backend, results, len(instances) * run.samples, check, out)


def _report(
    run: Run, backend: Json, results: Results, prompts_per_variant: int, check: BatchCheck | None, out: Path
) -> Report:
    store.write_lines(out / "scores.jsonl", [r.score for r in results.results])
    sessions = store.Log(out / "sessions.jsonl", Session).read()
    report = make_report(run, backend, results, prompts_per_variant, check, sessions)
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
            graded = Score(*response.key, value=None, reason=f"request failed: {response.error}")
        else:
            grade = benchmark.grade(instance, target, response.text)
            graded = Score(*response.key, value=grade.value, reason=grade.reason, parts=grade.parts)
        results.append(Result(instance, variant, response, graded))
    return metric.with_values(Results(benchmark, results))


def _reserved(out: Path, run: Run) -> Run:
    """Reserves the folder for this run, or resumes the run that it contains.

    The path of the benchmark may change, because the digest identifies its content. A finished run may be
    copied to a machine without the checkpoint, so what answers is compared only if it is known.
    """
    unknown = [name for name in ("weights", "identity") if getattr(run, name) is None]
    return msgspec.convert(reserve(out, "run.json", run, "a run", ["benchmark", *unknown], FLAGS), Run)


def _run(benchmark: Benchmark, request: EvalRequest) -> Run:
    manifest = benchmark.manifest
    return Run(
        benchmark=str(benchmark.folder.resolve()),
        digest=manifest.digest,
        images_digest=manifest.images_digest,
        family=manifest.family,
        model=request.model,
        split=request.split,
        variants=tuple(v.name for v in variants.parse(request.variants)),
        limit=request.limit,
        samples=request.samples,
        sampling=msgspec.to_builtins(request.sampling),
        weights=backends.weights_digest(request.model),
        identity=identity(request.model, request.endpoint, request.trust_remote_code),
    )


def _prompts(benchmark: Benchmark, run: Run, instances: list[Instance]) -> Iterator[Prompt]:
    for variant in (VARIANTS[name] for name in run.variants):
        for instance in instances:
            for sample in range(run.samples):
                prompt = variants.prompt(instance, variant, benchmark.policies, sample)
                if prompt is not None:
                    yield prompt


def _collect(
    backend: Backend, missing: list[Prompt], log: store.Log, total: int
) -> Mapping[tuple[str, str, int], Response]:
    """Appends each response to the log as soon as it arrives."""
    collected: dict[tuple[str, str, int], Response] = {}
    cut, early = 0, min(EARLY, len(missing))
    with tqdm(total=total, initial=total - len(missing), desc="responses", unit="") as progress:
        for response in backend.generate(missing):
            log.append([response])
            collected[response.key] = response
            progress.update()
            cut += response.finish_reason == "length"
            if len(collected) == early and cut >= early / 4:
                message = f"{cut} of {early} were cut off: the model repeats itself, or needs more"
                tqdm.write(f"{message} --max-new-tokens", file=sys.stderr)
    errors = Counter(response.error for response in collected.values() if response.error is not None)
    for error, count in errors.most_common(1):
        tqdm.write(f"{errors.total()} requests failed, {count} of them with: {error}", file=sys.stderr)
    return collected


def _check_batching(
    backend: Backend, prompts: list[Prompt], done: Mapping[tuple[str, str, int], Response]
) -> BatchCheck | None:
    """Sends some prompts again, one at a time: greedy responses should not depend on their batch."""
    if not backend.batched:
        return None
    checked = prompts[:: max(1, len(prompts) // BATCH_CHECK)][:BATCH_CHECK]
    alone = []
    for prompt in tqdm(checked, desc="batch check: again, one at a time", unit=""):
        backend.forget()
        alone.append(next(backend.generate([prompt])))
    prefills: dict[str, list[float]] = {}
    for response in alone:
        if response.prefill_seconds is not None:
            prefills.setdefault(response.variant, []).append(response.prefill_seconds)
    return BatchCheck(
        asked=len(alone),
        differ=sum(r.text != done[r.key].text for r in alone),
        prefill_seconds={variant: sum(seconds) / len(seconds) for variant, seconds in prefills.items()},
    )
