"""The paper's tables as data: reported figures, never verified here, made on other data.

Figures are in percent, as printed. Of "Multimodal Policy Internalization for Conversational Agents"
(arXiv 2510.09474).
"""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import msgspec

from harness.errors import UserError


@dataclass(frozen=True, slots=True)
class Reported:
    """One figure of the paper; depth and visual only where the family has them."""

    method: str
    model: str
    family: str
    variant: str
    score: float
    depth: int | None = None
    visual: bool | None = None
    judge: str = ""
    after: str = ""
    """What the model was trained on before, where the benchmark is another."""
    tool: float | None = None
    arguments: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.score <= 100:
            raise ValueError(f"score: expected 0 to 100 percent, got {self.score}")

    @property
    def setting(self) -> str:
        """Of which benchmark."""
        kind = {None: "", False: "-T", True: "-M"}[self.visual]
        depth = f" N={self.depth}" if self.depth is not None else ""
        return f"{self.family}{kind}{depth}" + (f" after {self.after}" if self.after else "")


@dataclass(frozen=True, slots=True)
class Table:
    title: str
    rows: Sequence[Reported]
    table: int | None = None
    """Its number in the paper, where we know it."""
    note: str = ""

    @property
    def settings(self) -> list[str]:
        """Its columns."""
        return list(dict.fromkeys(row.setting for row in self.rows))

    @property
    def lines(self) -> list[tuple[str, str, list[float | None]]]:
        """Method, model, and the score in each setting."""
        found: dict[tuple[str, str], dict[str, float]] = {}
        for row in self.rows:
            found.setdefault((row.method, row.model), {})[row.setting] = row.score
        return [(*who, [scores.get(setting) for setting in self.settings]) for who, scores in found.items()]

    @property
    def source(self) -> str:
        return f"Table {self.table}" if self.table is not None else "the paper"


@cache
def tables() -> tuple[Table, ...]:
    folder = resources.files("harness.paper")
    found = []
    for file in sorted((f for f in folder.iterdir() if f.name.endswith(".toml")), key=lambda f: f.name):
        try:
            data = tomllib.loads(file.read_text(encoding="utf-8"))
            found.append(msgspec.convert(data, Table, strict=True))
        except ValueError as error:
            raise UserError(f"reported/{file.name}: {error}") from error
    return tuple(sorted(found, key=lambda t: (t.table is None, t.table, t.title)))
