"""The resumable loop: prompts out, responses appended as they come, scores and report at the end.

A run's folder holds run.json (what was asked), responses.jsonl (the only file that cannot be made again),
sessions.jsonl (how long each sitting took), scores.jsonl, report.json and report.html. Killed at any moment,
the same command goes on where it stopped.
"""

from __future__ import annotations

import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec
from tqdm import tqdm

from harness import backends, variants
from harness.backends import Backend, Endpoint, Sampling
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.files.workdir import reserve
from harness.records import BatchCheck, Instance, Json, Prompt, Report, Response, Run, Score, Session
from harness.report.figures import make_report, write_report
from harness.results import Result, Results
from harness.variants import VARIANTS

BATCH_CHECK = 16
"""How many prompts are asked again one at a time where the batch size might matter."""


@dataclass(frozen=True)
class EvalRequest:
    """What `harness eval` is asked for."""

    model: str
    """oracle, random, majority, replay:RUN, hf:PATH for a transformers checkpoint, and behind an API
    openai:NAME (any compatible server) or anthropic:NAME."""
    variants: str = ",".join(VARIANTS)
    """Comma-separated: who governs the answer, and whether the model is shown that policy."""
    split: str = "test"
    """Which of the benchmark's splits to score."""
    limit: int | None = None
    """Only the first so many instances."""
    samples: int = 1
    """Responses for each prompt."""
    sampling: Sampling = field(default_factory=Sampling)
    endpoint: Endpoint = field(default_factory=Endpoint)

    def __post_init__(self) -> None:
        variants.parse(self.variants)
        for name in ("limit", "samples"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name}: expected 1 or more, got {value}")
        if self.samples > 1 and self.sampling.temperature == 0:
            raise UserError("samples: greedy decoding gives the same response each time; set a temperature")


def evaluate(benchmark: Benchmark, asked: EvalRequest, out: Path) -> Report:
    """Runs what is still missing, scores everything, and writes and returns the report.

    Raises UserError where out holds a run of something else.
    """
    instances = benchmark.instances(asked.split)[: asked.limit]
    run = _claimed(out, _run(benchmark, asked))
    log = store.Log(out / "responses.jsonl", Response)
    with store.locked(log.path):
        return _evaluate(benchmark, asked, run, instances, log, out)


def _evaluate(
    benchmark: Benchmark, asked: EvalRequest, run: Run, instances: list[Instance], log: store.Log, out: Path
) -> Report:
    prompts = list(_prompts(benchmark, run, instances))
    done = {r.key: r for r in log.read() if r.error is None}
    missing = [p for p in prompts if p.key not in done]
    if missing or not (out / "report.json").exists():
        backend = backends.make(asked.model, benchmark, asked.sampling, asked.endpoint, out)
        started = time.monotonic()
        done |= _collect(backend, missing, log, total=len(prompts))
        sitting = Session(len(missing), time.monotonic() - started)
        store.Log(out / "sessions.jsonl", Session).append([sitting])
        description: Json = backend.description
        check = _check_batching(backend, prompts, done)
    else:  # scored again, without loading the model for it
        finished = store.read_json(out / "report.json", Report)
        description, check = finished.backend, finished.batch_check
    results = score(benchmark, instances, [done[p.key] for p in prompts])
    return _report(run, description, results, len(instances) * run.samples, check, out)


def report_again(benchmark: Benchmark, out: Path) -> None:
    """Scores a finished run's responses anew and writes its report, asking for nothing.

    A run that is not through yet gets its report when it is.
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
    run: Run, backend: Json, results: Results, possible: int, check: BatchCheck | None, out: Path
) -> Report:
    store.write_lines(out / "scores.jsonl", [r.score for r in results.results])
    sessions = store.Log(out / "sessions.jsonl", Session).read()
    report = make_report(run, backend, results, possible, check, sessions)
    write_report(report, results, out)
    return report


def score(benchmark: Benchmark, instances: list[Instance], responses: list[Response]) -> Results:
    """Grades each response; a failed request gets no value and says why."""
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
            grade = benchmark.family.grade(instance, target, response.text)
            graded = Score(*response.key, value=grade.value, reason=grade.reason, parts=grade.parts)
        results.append(Result(instance, variant, response, graded))
    return Results(benchmark, results)


def _claimed(out: Path, run: Run) -> Run:
    """Where the benchmark lies may change, for what it holds is in its digest. And where a finished run was
    copied to, its checkpoint need not be."""
    but = ["benchmark"] if run.weights else ["benchmark", "weights"]
    return msgspec.convert(reserve(out, "run.json", run, "a run", but), Run)


def _run(benchmark: Benchmark, asked: EvalRequest) -> Run:
    manifest = benchmark.manifest
    return Run(
        benchmark=str(benchmark.folder.resolve()),
        digest=manifest.digest,
        images_digest=manifest.images_digest,
        family=manifest.family,
        model=asked.model,
        split=asked.split,
        variants=tuple(v.name for v in variants.parse(asked.variants)),
        limit=asked.limit,
        samples=asked.samples,
        sampling=msgspec.to_builtins(asked.sampling),
        weights=backends.weights_digest(asked.model),
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
    """Each response is on disk before the next is asked for."""
    collected = {}
    with tqdm(total=total, initial=total - len(missing), desc="responses", unit="") as progress:
        for response in backend.generate(missing):
            log.append([response])
            collected[response.key] = response
            progress.update()
    errors = Counter(response.error for response in collected.values() if response.error is not None)
    for error, count in errors.most_common(1):
        tqdm.write(f"{errors.total()} requests failed, {count} of them so: {error}", file=sys.stderr)
    return collected


def _check_batching(
    backend: Backend, prompts: list[Prompt], done: Mapping[tuple[str, str, int], Response]
) -> BatchCheck | None:
    """Asks some prompts again, one at a time: greedy responses should not depend on their neighbours."""
    if not backend.batched:
        return None
    spread = prompts[:: max(1, len(prompts) // BATCH_CHECK)][:BATCH_CHECK]
    alone = []
    for prompt in tqdm(spread, desc="one at a time", unit=""):
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
