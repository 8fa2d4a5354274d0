"""Reads the result tables of the paper from the TOML files in this folder."""

import tomllib
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from importlib import resources

import msgspec

from harness.errors import UserError


@dataclass(frozen=True, slots=True)
class ReportedScore:
    """One score of the paper, in percent."""

    method: str
    model: str
    family: str
    variant: str
    score: float
    # The depth and the kind of the policies; None for a family without them.
    depth: int | None = None
    visual: bool | None = None
    # The language model that judged, for referral scores.
    judge: str = ""
    # What the model was trained on before, if not on this benchmark.
    after: str = ""
    # The parts of the score, for tool calls.
    tool: float | None = None
    arguments: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.score <= 100:
            raise ValueError(f"score: expected 0 to 100 percent, got {self.score}")

    @property
    def setting(self) -> str:
        """The kind of benchmark, such as "clevrpolicy-T N=6"."""
        kind = {None: "", False: "-T", True: "-M"}[self.visual]
        depth = f" N={self.depth}" if self.depth is not None else ""
        return f"{self.family}{kind}{depth}" + (f" after {self.after}" if self.after else "")


@dataclass(frozen=True, slots=True)
class PaperTable:
    """One table of the paper, or the part of it that we have."""

    title: str
    rows: Sequence[ReportedScore]
    # The number of the table in the paper; None if we do not know it.
    table: int | None = None
    note: str = ""

    @property
    def settings(self) -> list[str]:
        """The columns of the table."""
        return list(dict.fromkeys(row.setting for row in self.rows))

    @property
    def scores_by_method(self) -> list[tuple[str, str, list[float | None]]]:
        """Method, model, and the score in each setting."""
        by_model: dict[tuple[str, str], dict[str, float]] = {}
        for row in self.rows:
            by_model.setdefault((row.method, row.model), {})[row.setting] = row.score
        return [
            (method, model, [scores.get(setting) for setting in self.settings])
            for (method, model), scores in by_model.items()
        ]

    @property
    def source(self) -> str:
        return f"Table {self.table}" if self.table is not None else "the paper"


@cache
def tables() -> tuple[PaperTable, ...]:
    """All tables by their number. Raises UserError if a file is not valid."""
    files = [file for file in resources.files("harness.paper").iterdir() if file.name.endswith(".toml")]
    read = []
    for file in files:
        try:
            data = tomllib.loads(file.read_text(encoding="utf-8"))
            read.append(msgspec.convert(data, PaperTable, strict=True))
        except ValueError as error:
            raise UserError(f"harness/paper/{file.name}: {error}") from error
    return tuple(sorted(read, key=lambda t: (t.table is None, t.table, t.title)))
