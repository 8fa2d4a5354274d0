"""`trimpi cot`: chains of thought for the training split of a benchmark, by four methods (paper, CoT-SFT).

The paper uses `forward` for ClevrPolicy and `reverse` for GTAPolicy. A chain is kept only if it has the
format <think>...</think> \\boxed{...}. After a kill, the same command resumes. The folder contains:

    asked.json         benchmark and request
    responses.jsonl    what the model answered, appended one by one
    cot.jsonl          one ChainOfThought per line, in the order of `select_instances`
    cot.json           written last; marks the folder as complete
"""

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from importlib.metadata import version
from itertools import chain
from pathlib import Path

import msgspec
from tabulate import tabulate

from harness import backends
from harness.backends.readable_prompts import ReadablePrompts
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.files.kinds import kind
from harness.files.workdir import reserve, using
from harness.progress import Bar
from harness.records import Instance, Json, Response
from harness.variants import INTERNALIZED
from training.cot import prompts
from training.cot.config import CotMethod, CotRequest
from training.cot.prompts import FilterResult

PACKAGE = "policy-internalization"
SPEC, MANIFEST, CHAINS, RESPONSES = "asked.json", "cot.json", "cot.jsonl", "responses.jsonl"


@dataclass(frozen=True, slots=True)
class ChainOfThought:
    """A response to learn from."""

    instance: str
    text: str
    how: CotMethod
    model: str | None


@dataclass(frozen=True, slots=True)
class ChainCounts:
    """Counts of instances: asked = kept + the sum of rejected."""

    asked: int
    kept: int
    # By reason: error, truncated, refused, no think block, no box, wrong. Each instance counts once: as error
    # if a request failed, else with the reason of its last attempt.
    rejected: Mapping[str, int]
    # Mean length of the kept chains.
    mean_characters: float | None


@dataclass(frozen=True, slots=True)
class ChainStatistics:
    """Counts over all instances and by policy; str() is a table for the terminal."""

    total: ChainCounts
    policies: Mapping[str, ChainCounts]

    def __str__(self) -> str:
        reasons = sorted(self.total.rejected)
        rows = [
            (name, c.asked, c.kept, *(c.rejected.get(reason, 0) for reason in reasons), c.mean_characters)
            for name, c in [*self.policies.items(), ("all", self.total)]
        ]
        headers = ("policy", "asked", "kept", *reasons, "characters")
        # Names of policies are text, even if they look like numbers.
        text_columns = [0]
        return str(tabulate(rows, headers, "plain", ".0f", missingval="–", disable_numparse=text_columns))


@dataclass(frozen=True, slots=True)
class ChainsManifest:
    """cot.json: how the chains were generated; exists only when they are complete."""

    # The contents of asked.json: benchmark and request.
    asked: Json
    # The backend's description of the model; empty for gold.
    backend: Json
    versions: Mapping[str, str]
    scorer: str
    chains_sha256: str
    statistics: ChainStatistics


def make_chains(benchmark: Benchmark, out: Path, request: CotRequest) -> ChainStatistics:
    """Generates the missing chains of thought and returns what was kept. Failed requests are retried.

    Raises UserError if `out` contains something else, if another process uses it, or if no instance of the
    benchmark has a policy.
    """
    spec = {"family": benchmark.manifest.family, "digest": benchmark.manifest.digest}
    spec |= msgspec.to_builtins(request)
    # The server does not change the responses, so another one may finish the work.
    del spec["endpoint"]
    instances = prompts.select_instances(benchmark, request.limit, request.cover)
    flags = dict.fromkeys(("family", "digest"), "benchmark")
    with using(out, SPEC, "a set of chains of thought"):
        reserve(out, SPEC, spec, "a set of chains of thought", flags=flags)
        return _make_chains(benchmark, out, request, instances, spec)


def _make_chains(
    benchmark: Benchmark, out: Path, request: CotRequest, instances: Sequence[Instance], spec: Json
) -> ChainStatistics:
    if (out / MANIFEST).exists():
        manifest = store.read_json(out / MANIFEST, ChainsManifest)
        if prompts.ERROR not in manifest.statistics.total.rejected:
            return manifest.statistics
    backend: Json = {}
    if request.how == "gold":
        results = _gold_chains(benchmark, instances)
    else:
        results, backend = _request_chains(benchmark, out, request, instances)
    chains = [
        ChainOfThought(instance.id, result.text, request.how, request.model)
        for instance, result in zip(instances, results, strict=True)
        if result.text is not None
    ]
    (out / MANIFEST).unlink(missing_ok=True)
    store.write_lines(out / CHAINS, chains)
    manifest = ChainsManifest(
        asked=spec,
        backend=backend,
        versions={PACKAGE: version(PACKAGE), "python": platform.python_version()},
        scorer=benchmark.family.scorer,
        chains_sha256=store.sha256(out / CHAINS),
        statistics=_statistics(instances, results),
    )
    store.write_json(out / MANIFEST, manifest)
    return manifest.statistics


def read_chains(folder: Path, benchmark: Benchmark) -> dict[str, str]:
    """Instance id -> response, in the order of `select_instances`, so that any prefix is balanced.

    Raises UserError if the chains are incomplete, changed, empty, or of another benchmark.
    """
    rerun = "run the same `trimpi cot` command again"
    if not (folder / SPEC).is_file():
        raise UserError(f"{folder}: expected the folder of a `trimpi cot` command, got {kind(folder)}")
    if not (folder / MANIFEST).is_file():
        raise UserError(f"{folder}: expected finished chains of thought, found no {MANIFEST}; {rerun}")
    manifest = store.read_json(folder / MANIFEST, ChainsManifest)
    used, given = manifest.asked["digest"], benchmark.manifest.digest
    if used != given:
        raise UserError(
            f"{folder}: expected chains of thought for the benchmark with digest {given[:12]}…, these were "
            f"generated for {used[:12]}…; restore that benchmark, or generate chains in another folder"
        )
    file = folder / CHAINS
    if not file.is_file() or store.sha256(file) != manifest.chains_sha256:
        raise UserError(
            f"{file}: expected the file as it was generated, but it has changed; delete "
            f"{folder / MANIFEST} and {rerun}; the model's responses are kept"
        )
    chains = {chain.instance: chain.text for chain in store.read_lines(file, ChainOfThought)}
    if not chains:
        total = manifest.statistics.total.asked
        raise UserError(f"{folder}: expected chains of thought, but none of {total} responses was kept")
    return chains


def _gold_chains(benchmark: Benchmark, instances: Sequence[Instance]) -> list[FilterResult]:
    results = []
    for instance in Bar(instances, desc="chains of thought", unit=""):
        text = benchmark.family_of(instance).gold(instance, INTERNALIZED)
        response = Response(instance.id, INTERNALIZED.name, 0, text)
        results.append(prompts.filter_response(benchmark, "gold", instance, response))
    return results


def _request_chains(
    benchmark: Benchmark, out: Path, request: CotRequest, instances: Sequence[Instance]
) -> tuple[list[FilterResult], Json]:
    """Requests missing samples. An instance gets a further sample only while none of its samples is kept."""
    by_id = {instance.id: instance for instance in instances}
    # Instance id -> sample -> result.
    results: dict[str, dict[int, FilterResult]] = {instance.id: {} for instance in instances}

    def add(response: Response) -> None:
        result = prompts.filter_response(benchmark, request.how, by_id[response.instance], response)
        results[response.instance][response.sample] = result

    log = store.Log(out / RESPONSES, Response)
    for response in log.read():
        if response.error is None:
            add(response)
    backend = backends.make(request.model or "", benchmark, request.sampling, request.endpoint, out)
    rounds = [[sample] for sample in range(request.samples)]
    if request.endpoint.batch:
        # A provider's batch may take a day, so all samples are sent at once.
        rounds = [list(range(request.samples))]
    for samples in rounds:
        unsolved = [i for i in instances if prompts.best_sample(results[i.id]).text is None]
        missing = [
            prompts.make_prompt(benchmark, request.how, instance, sample)
            for sample in samples
            for instance in unsolved
            if sample not in results[instance.id]
        ]
        if not missing:
            continue
        readable = ReadablePrompts(benchmark, partial(iter, missing))
        responses = backends.storable(backend.generate(list(readable)))
        total = len(samples) * len(instances)
        with Bar(total=total, initial=total - len(missing), desc="chains of thought", unit="") as progress:
            for response in chain(readable.failures, responses):
                log.append([response])
                add(response)
                progress.update()
    return [prompts.best_sample(results[instance.id]) for instance in instances], backend.description


def _statistics(instances: Sequence[Instance], results: Sequence[FilterResult]) -> ChainStatistics:
    by_policy: dict[str, list[FilterResult]] = {}
    for instance, result in zip(instances, results, strict=True):
        by_policy.setdefault(instance.policy_id or "", []).append(result)
    counts = {policy: _counts(of_policy) for policy, of_policy in sorted(by_policy.items())}
    return ChainStatistics(_counts(results), counts)


def _counts(results: Sequence[FilterResult]) -> ChainCounts:
    lengths = [len(result.text) for result in results if result.text is not None]
    reasons = Counter(result.reason for result in results if result.text is None)
    return ChainCounts(
        asked=len(results),
        kept=len(lengths),
        rejected=dict(sorted(reasons.items())),
        mean_characters=sum(lengths) / len(lengths) if lengths else None,
    )
