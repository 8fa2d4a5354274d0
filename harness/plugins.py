"""What the harness asks of a policy family, a backend and a metric, and how it finds them: by entry point."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any, Protocol

from harness.errors import UserError
from harness.records import Grade, Instance, Prompt, Response, Row
from harness.variants import Variant

if TYPE_CHECKING:
    from harness.benchmark import Benchmark
    from harness.results import Results

FAMILIES = "harness.families"
BACKENDS = "harness.backends"
METRICS = "harness.metrics"


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


class Family(Protocol):
    """A kind of policy; constructed with the benchmark that it explains."""

    def grade(self, instance: Instance, target: str, text: str) -> Grade:
        """How right a response is; the target is the instance's own or its override's."""
        ...

    def answers(self, instance: Instance, variant: Variant) -> Sequence[str]:
        """Every answer that the governing policy can give; empty where they cannot be listed."""
        ...

    def respond(self, answer: str) -> str:
        """The shortest response that gives this answer."""
        ...

    def gold(self, instance: Instance, variant: Variant) -> str:
        """A full right response, reasoning included."""
        ...

    def groups(self, instance: Instance, variant: Variant) -> Mapping[str, str]:
        """What the report splits the scores by, such as {"leaf depth": "3"}."""
        ...


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


class Metric(Protocol):
    def __call__(self, results: Results) -> list[Row]: ...


def names(group: str) -> list[str]:
    return sorted({point.name for point in entry_points(group=group)})


def load(group: str, name: str) -> Any:
    """What is registered under this name; UserError lists the names that exist."""
    for point in entry_points(group=group):
        if point.name == name:
            return point.load()
    kind = group.removeprefix("harness.")
    raise UserError(f"{kind}: expected one of {', '.join(names(group))}, got {name!r}")


def backend(model: str, benchmark: Benchmark, sampling: Sampling) -> Backend:
    """The backend for a model written as NAME or NAME:ARGUMENT, such as oracle or hf:PATH."""
    name, _, argument = model.partition(":")
    factory: BackendFactory = load(BACKENDS, name)
    return factory(argument, benchmark, sampling)
