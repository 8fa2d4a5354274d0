"""Finds families, backends, metrics and general benchmarks by entry point, without importing them."""

import sys
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.text import reason

FAMILIES = "harness.families"
BACKENDS = "harness.backends"
METRICS = "harness.metrics"
GENERAL = "harness.benchmarks"


def names(group: str) -> list[str]:
    return sorted({point.name for point in entry_points(group=group)})


def load(group: str, name: str) -> Any:
    """The object registered under this name.

    Raises UserError if there is none, if two packages register the name, or if the object does not exist.
    """
    kind = group.removeprefix("harness.")
    # Two entry points with one value are one package that is found in two places.
    points = {point.value: point for point in entry_points(group=group) if point.name == name}
    if not points:
        raise UserError(f"{kind}: expected one of {', '.join(names(group))}, got {name!r}")
    if len(points) > 1:
        raise UserError(f"{kind}: expected one package that registers {name!r}, got {' and '.join(points)}")
    (point,) = points.values()
    try:
        return point.load()
    # Other people's packages are loaded here, so any exception may occur.
    except Exception as error:
        hint = f"; {to_install(name)}" if group == BACKENDS and isinstance(error, ImportError) else ""
        fails = f"which fails: {reason(error)}{hint}"
        raise UserError(f"{kind}: {name!r} is registered as {point.value}, {fails}") from error


def to_install(extra: str) -> str:
    """The command that installs optional packages of this project, which is in no package index."""
    project = Path(__file__).parents[1]
    if not (project / "pyproject.toml").is_file():
        return f"in the folder of this project, run: {sys.executable} -m pip install '.[{extra}]'"
    return f"run: {sys.executable} -m pip install -e '{project}[{extra}]'"
