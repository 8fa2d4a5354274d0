"""How the harness finds policy families, backends and metrics, none of which it imports: by entry point."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from importlib.metadata import entry_points
from typing import Any, Protocol

from harness.errors import UserError
from harness.records import CitedRule, Grade, Instance
from harness.variants import Variant

FAMILIES = "harness.families"
BACKENDS = "harness.backends"
METRICS = "harness.metrics"


class Family(Protocol):
    """A kind of policy; constructed with the benchmark that it explains."""

    @property
    def scorer(self) -> str:
        """Names the way of grading: results of two names must never be compared."""
        ...

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

    def cited_rules(self, instance: Instance, variant: Variant, text: str) -> Sequence[CitedRule]:
        """Every rule that a response cites, checked against the policy; empty where there are no rules."""
        ...

    def gold_rules(self, instance: Instance, variant: Variant) -> Sequence[str]:
        """The rules that lead to the right answer, as claims name them; empty where there are none."""
        ...

    def first_error(self, instance: Instance, variant: Variant, text: str) -> str | None:
        """The first fault of a wrong response, such as "perception: color"; None where it cannot be told."""
        ...


def names(group: str) -> list[str]:
    return sorted({point.name for point in entry_points(group=group)})


def load(group: str, name: str) -> Any:
    """What is registered under this name; UserError lists the names that exist."""
    for point in entry_points(group=group):
        if point.name == name:
            return point.load()
    kind = group.removeprefix("harness.")
    raise UserError(f"{kind}: expected one of {', '.join(names(group))}, got {name!r}")
