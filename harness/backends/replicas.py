"""A checkpoint that several processes answer with, for `harness eval --replicas`.

    command                                                  each replica
    prompts -> batches that keep a policy together ------->  load the checkpoint for its first batch
    yield the response   <---------------------------------  yield each response as soon as it is complete

Batches become smaller towards the end, so that all replicas end at about the same time. If a replica dies,
another process answers those prompts of its batch that have no response yet.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, cached_property, partial
from math import ceil
from pathlib import Path
from typing import Any

from harness import backends, registry
from harness.backends import Backend, Sampling
from harness.backends.prefix_groups import group_by_prefix
from harness.engine import Engine
from harness.files.benchmark import MANIFEST, Benchmark
from harness.files.workdir import require_shared
from harness.records import Json, Prompt, Response


@dataclass(frozen=True)
class Checkpoint:
    """What a replica loads."""

    model: str
    benchmark: Path
    sampling: Sampling
    trust_remote_code: bool


class Replicas(Backend):
    """Answers like the checkpoint's own backend. Other batches change a response only as that one says."""

    def __init__(self, checkpoint: Checkpoint, engine: Engine) -> None:
        self.checkpoint, self.engine = checkpoint, engine
        name = checkpoint.model.partition(":")[0]
        backend: Any = registry.load(registry.BACKENDS, name)
        self.batched, self.continues = backend.batched, backend.continues
        self.at_once: int = backend.at_once or checkpoint.sampling.batch_size
        self.must_forget = False

    @cached_property
    def description(self) -> Json:  # type: ignore[override]
        """That of one replica."""
        (description,) = self.engine.stream(partial(_describe, self.checkpoint), [[None]], lambda _: True)
        return description

    def generate(self, prompts: Sequence[Prompt]) -> Iterator[Response]:
        missing = {prompt.key for prompt in prompts}
        answer = partial(_answer, self.checkpoint, self.must_forget)
        self.must_forget = False
        tasks = batches(prompts, self.engine.workers, self.at_once)
        for response in self.engine.stream(answer, tasks, lambda prompt: prompt.key in missing):
            missing.remove(response.key)
            yield response

    def forget(self) -> None:
        self.must_forget = True


def batches(prompts: Sequence[Prompt], replicas: int, at_once: int) -> Iterator[list[Prompt]]:
    """Divides prompts among replicas that answer `at_once` of them at the same time.

    The size of a batch is the share of a replica in what is left (guided self-scheduling; Polychronopoulos
    and Kuck, 1987), rounded down to a multiple of `at_once`, but not to 0. If there are fewer prompts than
    the replicas answer at once, each gets its share. A batch consists of whole groups of prompts that start
    with the same policy; only a group that is larger than a batch is divided.
    """
    left = len(prompts)
    at_once = max(1, min(at_once, ceil(left / replicas)))
    groups = deque(group.prompts for group in group_by_prefix(prompts, at_once // 2))
    while groups:
        size = max(1, left // replicas // at_once) * at_once
        batch, groups[0] = groups[0][:size], groups[0][size:]
        if not groups[0]:
            groups.popleft()
        while groups and len(batch) + len(groups[0]) <= size:
            batch = batch + groups.popleft()
        left -= len(batch)
        yield batch


@cache
def _load(checkpoint: Checkpoint) -> Backend:
    """The backend of this process."""
    require_shared(checkpoint.benchmark, MANIFEST)
    benchmark = Benchmark(checkpoint.benchmark)
    trust = checkpoint.trust_remote_code
    return backends.make(checkpoint.model, benchmark, checkpoint.sampling, trust_remote_code=trust)


def _answer(checkpoint: Checkpoint, must_forget: bool, prompts: Sequence[Prompt]) -> Iterator[Response]:
    backend = _load(checkpoint)
    if must_forget:
        backend.forget()
    return backend.generate(prompts)


def _describe(checkpoint: Checkpoint, _: Sequence[object]) -> Iterable[Json]:
    return [_load(checkpoint).description]
