"""`trimpi cot`: chains of thought for the training split of a benchmark, in four ways (paper, CoT-SFT).

| how | whose words | kept when |
|---|---|---|
| gold | the family's own, from tree and scene or from the table of rules; no model | right |
| forward | a model's that is shown the policy (the paper, for ClevrPolicy) | right |
| reverse | a model's that is shown the policy and the right answer (the paper, for GTAPolicy) | right |
| teacher | a model's that is shown the policy: distillation | always |

All are kept only in the form <think>...</think> \\boxed{...}. The folder holds asked.json (what was asked),
responses.jsonl (what a model said, appended as it comes), cot.jsonl (one Chain a line, in the order of
`choose`), and cot.json, written last: its presence means complete. Killed at any moment, the same command
goes on where it stopped.
"""

from __future__ import annotations

import platform
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import msgspec
from tqdm import tqdm

from harness import backends
from harness.backends import Endpoint, Sampling, is_scripted
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.files.workdir import reserve
from harness.records import Instance, Json, Response
from harness.variants import INTERNALIZED
from training.cot.prompts import ERROR, How, Reading, best, choose, examine, prompt

ASKED, MADE, CHAINS, RESPONSES = "asked.json", "cot.json", "cot.jsonl", "responses.jsonl"


@dataclass(frozen=True)
class Cot:
    """What `trimpi cot` is asked for."""

    how: How = "gold"
    """gold: from the benchmark itself, no model. forward: a model answers with the policy in context, kept
    when right. reverse: a model is given the right answer too and writes the reasoning. teacher: a model's
    answers with the policy in context, right or wrong."""
    model: str | None = None
    """Who writes, as in --model of `harness eval`, such as hf:PATH or openai:NAME; none for gold."""
    limit: int | None = None
    """Instances asked about in all, spread evenly over policies and answers; more adds to fewer."""
    samples: int = 1
    """Attempts at an instance: the first that can be kept is, and the rest are not asked for."""
    sampling: Sampling = field(default_factory=Sampling)
    endpoint: Endpoint = field(default_factory=Endpoint)

    def __post_init__(self) -> None:
        for name in ("limit", "samples"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise UserError(f"{name}: expected 1 or more, got {value}")
        if self.how == "gold" and (self.model is not None or self.samples > 1):
            raise UserError("how: gold asks no model; leave --model and --samples out, or take another --how")
        if self.how != "gold" and self.model is None:
            raise UserError(f"model: expected who writes the {self.how} chains, such as hf:PATH, got none")
        if self.how == "reverse" and self.model is not None and is_scripted(self.model):
            raise UserError(f"model: expected one that can read, such as hf:PATH, got {self.model}")
        if self.samples > 1 and self.sampling.temperature == 0:
            raise UserError("samples: greedy decoding gives the same response each time; set a temperature")


@dataclass(frozen=True, slots=True)
class Chain:
    """A response worth learning from."""

    instance: str
    text: str
    how: How
    model: str | None


@dataclass(frozen=True, slots=True)
class Share:
    """What became of some instances: asked = kept + all the rejected."""

    asked: int
    kept: int
    rejected: Mapping[str, int]
    """By reason: error, truncated, refused, no think block, no box, wrong; an instance counts once, as error
    where an attempt failed, else for its last attempt."""
    mean_characters: float | None
    """Of the kept."""


@dataclass(frozen=True, slots=True)
class Statistics:
    total: Share
    policies: Mapping[str, Share]

    def __str__(self) -> str:
        """One table for the terminal: a row a policy, then all."""
        reasons = sorted(self.total.rejected)
        lines = [("policy", "asked", "kept", *reasons, "characters")]
        for name, share in [*self.policies.items(), ("all", self.total)]:
            mean = "–" if share.mean_characters is None else f"{share.mean_characters:.0f}"
            counts = (share.asked, share.kept, *(share.rejected.get(reason, 0) for reason in reasons))
            lines.append((name, *map(str, counts), mean))
        first, *widths = (max(map(len, column)) for column in zip(*lines, strict=True))
        return "\n".join(
            "  ".join([name.ljust(first), *(c.rjust(w) for c, w in zip(cells, widths, strict=True))])
            for name, *cells in lines
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """What a folder was asked for: the same again goes on with it, anything else is refused."""

    family: str
    digest: str
    """The benchmark's."""
    how: How
    model: str | None
    limit: int | None
    samples: int
    sampling: Json


@dataclass(frozen=True, slots=True)
class Made:
    """All about a folder's chains; there only when they are complete."""

    asked: Asked
    backend: Json
    """The model in the words of its backend; empty for gold."""
    versions: Mapping[str, str]
    scorer: str
    chains_sha256: str
    statistics: Statistics


def make(benchmark: Benchmark, out: Path, asked: Cot) -> Statistics:
    """Makes what is still missing and says what was kept; requests that failed before are made again.

    Raises UserError where out holds something else, or where no policy governs what could be asked.
    """
    begun = Asked(
        benchmark.manifest.family,
        benchmark.manifest.digest,
        asked.how,
        asked.model,
        asked.limit,
        asked.samples,
        msgspec.to_builtins(asked.sampling),
    )
    chosen = choose(benchmark, asked.limit)
    reserve(out, ASKED, begun, "chains of thought")
    if (out / MADE).exists():
        made = store.read_json(out / MADE, Made)
        if ERROR not in made.statistics.total.rejected:
            return made.statistics
    readings, backend = (
        _gold(benchmark, chosen) if asked.how == "gold" else _ask(benchmark, out, asked, chosen)
    )
    chains = [
        Chain(instance.id, reading.text, asked.how, asked.model)
        for instance, reading in zip(chosen, readings, strict=True)
        if reading.text is not None
    ]
    (out / MADE).unlink(missing_ok=True)
    store.write_lines(out / CHAINS, chains)
    made = Made(
        asked=begun,
        backend=backend,
        versions={
            "policy-internalization": version("policy-internalization"),
            "python": platform.python_version(),
        },
        scorer=benchmark.family.scorer,
        chains_sha256=store.sha256(out / CHAINS),
        statistics=_count(chosen, readings),
    )
    store.write_json(out / MADE, made)
    return made.statistics


def read(folder: Path, benchmark: Benchmark) -> dict[str, str]:
    """Instance id -> response, in the order of `choose`: the first n of a folder are as balanced as all.

    Raises UserError where they are unfinished, changed, none, or of another benchmark than this.
    """
    again = "run the same `trimpi cot` command again"
    if not (folder / MADE).is_file():
        raise UserError(f"{folder}: no {MADE}: expected finished chains of thought; if interrupted, {again}")
    made = store.read_json(folder / MADE, Made)
    made_for, digest = made.asked.digest, benchmark.manifest.digest
    if made_for != digest:
        raise UserError(
            f"{folder}: its chains of thought were made for a benchmark with digest {made_for[:12]}…, this "
            f"one has {digest[:12]}…: put back the other, or make chains for this one in another folder"
        )
    file = folder / CHAINS
    if not file.is_file() or store.sha256(file) != made.chains_sha256:
        raise UserError(f"{file}: not as it was made: delete {folder / MADE} and {again}; responses are kept")
    chains = {chain.instance: chain.text for chain in store.read_lines(file, Chain)}
    if not chains:
        raise UserError(
            f"{folder}: expected chains of thought, none was kept of {made.statistics.total.asked}"
        )
    return chains


def _gold(benchmark: Benchmark, chosen: Sequence[Instance]) -> tuple[list[Reading], Json]:
    def reading(instance: Instance) -> Reading:
        text = benchmark.family_of(instance).gold(instance, INTERNALIZED)
        return examine(benchmark, "gold", instance, Response(instance.id, INTERNALIZED.name, 0, text))

    return [reading(instance) for instance in tqdm(chosen, desc="chains of thought", unit="")], {}


def _ask(
    benchmark: Benchmark, out: Path, asked: Cot, chosen: Sequence[Instance]
) -> tuple[list[Reading], Json]:
    """Asks what is missing, a further sample only where no earlier one could be kept."""
    instances = {i.id: i for i in chosen}
    readings: dict[str, dict[int, Reading]] = {i.id: {} for i in chosen}

    def take(response: Response) -> None:
        reading = examine(benchmark, asked.how, instances[response.instance], response)
        readings[response.instance][response.sample] = reading

    log = store.Log(out / RESPONSES, Response)
    for response in log.read():
        if response.error is None:
            take(response)
    backend = backends.make(asked.model or "", benchmark, asked.sampling, asked.endpoint, out)
    # A provider's batch may take a day, and a sitting collects only what it asks for itself: all at once.
    every = range(asked.samples)
    for turn in [every] if asked.endpoint.batch else [[sample] for sample in every]:
        wanted = [i for i in chosen if best(readings[i.id]).text is None]
        missing = [
            prompt(benchmark, asked.how, i, s) for s in turn for i in wanted if s not in readings[i.id]
        ]
        if not missing:
            continue
        total = len(turn) * len(chosen)
        with tqdm(total=total, initial=total - len(missing), desc="chains of thought", unit="") as progress:
            for response in backend.generate(missing):
                log.append([response])
                take(response)
                progress.update()
    return [best(readings[i.id]) for i in chosen], backend.description


def _count(chosen: Sequence[Instance], readings: Sequence[Reading]) -> Statistics:
    by_policy: dict[str, list[Reading]] = {}
    for instance, reading in zip(chosen, readings, strict=True):
        by_policy.setdefault(instance.policy_id or "", []).append(reading)
    return Statistics(_share(readings), {policy: _share(by_policy[policy]) for policy in sorted(by_policy)})


def _share(readings: Sequence[Reading]) -> Share:
    lengths = [len(reading.text) for reading in readings if reading.text is not None]
    return Share(
        asked=len(readings),
        kept=len(lengths),
        rejected=dict(sorted(Counter(r.reason for r in readings if r.text is None).items())),
        mean_characters=sum(lengths) / len(lengths) if lengths else None,
    )
