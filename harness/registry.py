"""Finds families, backends, metrics and general benchmarks by entry point, without importing them."""

from importlib.metadata import entry_points
from typing import Any

from harness.errors import UserError

FAMILIES = "harness.families"
BACKENDS = "harness.backends"
METRICS = "harness.metrics"
GENERAL = "harness.benchmarks"


def names(group: str) -> list[str]:
    return sorted({point.name for point in entry_points(group=group)})


def load(group: str, name: str) -> Any:
    """The object registered under this name. Raises UserError with the existing names if there is none."""
    for point in entry_points(group=group):
        if point.name == name:
            return point.load()
    kind = group.removeprefix("harness.")
    raise UserError(f"{kind}: expected one of {', '.join(names(group))}, got {name!r}")
