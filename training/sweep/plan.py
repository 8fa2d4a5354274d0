"""What a sweep stores for its report: plan.json before its cells run, outcome.json when a cell has ended."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import msgspec

from harness.errors import UserError
from harness.files import store
from harness.records import Json
from training.sweep.grid import Cell

PLAN, OUTCOME = "plan.json", "outcome.json"


@dataclass(frozen=True, slots=True)
class GridPlan:
    title: str
    along: str
    cells: tuple[Cell, ...]


@dataclass(frozen=True, slots=True)
class Plan:
    """All cells of a sweep, and what they are computed from."""

    name: str
    # Its name, and the sha256 of its weight files by file name; none if it is on the hub.
    base: Json
    versions: Mapping[str, str]
    machine: Json
    # Folders in data/ with a benchmark, and those with a general benchmark.
    benchmarks: tuple[str, ...]
    general: tuple[str, ...]
    untrained: tuple[Cell, ...]
    grids: tuple[GridPlan, ...]


class Outcome(msgspec.Struct, frozen=True):
    """How a cell ended."""

    # What the cell was run for. If this differs from the current request, the cell is run again.
    request: Json = msgspec.field(name="asked")
    # Summed over all attempts that came to an end.
    seconds: float
    error: str | None = None


def read_plan(out: Path) -> Plan:
    """Raises UserError if the folder is not one of a sweep."""
    if not (out / PLAN).is_file():
        raise UserError(f"{out}: expected the folder of a `trimpi sweep`, got no {PLAN} there")
    return store.read_json(out / PLAN, Plan)


def read_outcome(out: Path, cell: Cell) -> Outcome | None:
    """None if the cell has not ended yet."""
    file = out / cell.folder / OUTCOME
    return store.read_json(file, Outcome) if file.exists() else None
