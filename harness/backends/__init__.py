"""Where responses come from: one file a backend, registered under the entry point group harness.backends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from harness import plugins
from harness.benchmark import Benchmark
from harness.errors import UserError
from harness.records import Prompt, Response


@dataclass(frozen=True, slots=True)
class Sampling:
    """How responses are drawn."""

    max_new_tokens: int = 1024
    """Longer responses are cut and counted as truncated."""
    temperature: float = 0.0
    """0 takes the likeliest token each time (greedy)."""
    top_p: float = 1.0
    """Nucleus sampling; only where the temperature is above 0."""
    seed: int = 0
    batch_size: int = 16

    def __post_init__(self) -> None:
        for name in ("max_new_tokens", "batch_size"):
            if getattr(self, name) < 1:
                raise UserError(f"{name}: expected 1 or more, got {getattr(self, name)}")
        if self.temperature < 0:
            raise UserError(f"temperature: expected 0 or more, got {self.temperature}")
        if not 0 < self.top_p <= 1:
            raise UserError(f"top_p: expected above 0 and at most 1, got {self.top_p}")


class Backend(Protocol):
    """Where responses come from; constructed as backend(argument, benchmark, sampling)."""

    batched: bool
    """True where a response might depend on how many are made at once; the run then checks it."""
    description: Mapping[str, Any]

    def generate(self, prompts: Sequence[Prompt]) -> Iterator[Response]:
        """A response for each prompt, in any order, yielded as it comes."""
        ...


class BackendFactory(Protocol):
    def __call__(self, argument: str, benchmark: Benchmark, sampling: Sampling) -> Backend: ...


def make(model: str, benchmark: Benchmark, sampling: Sampling) -> Backend:
    """The backend for a model written as NAME or NAME:ARGUMENT, such as oracle or hf:PATH."""
    name, _, argument = model.partition(":")
    factory: BackendFactory = plugins.load(plugins.BACKENDS, name)
    return factory(argument, benchmark, sampling)
