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
    # The depth N of the policies and whether they contain images; None for a family without depth and images.
    depth: int | None = None
    visual: bool | None = None
    # The language model that gave the score, for referral scores.
    judge: str = ""
    # The benchmark that the model was trained on, if it is not the scored one.
    after: str = ""
    # The two parts of the score of a tool call, in percent.
    tool: float | None = None
    arguments: float | None = None

    def __post_init__(self) -> None:
        if not 0 <= self.score <= 100:
            raise ValueError(f"score: expected a percentage from 0 to 100, got {self.score}")

    @property
    def setting(self) -> str:
        """The kind of benchmark and the training data, such as "clevrpolicy-T N=6"."""
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
        """The settings of the rows, which are the columns when the table is displayed."""
        return list(dict.fromkeys(row.setting for row in self.rows))

    @property
    def scores_by_method(self) -> list[tuple[str, str, list[float | None]]]:
        """Method, model, and the score in each setting; None if we have no score."""
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
    """All tables in the order of their numbers. Raises UserError if a file is not valid."""
    read = []
    for file in resources.files("harness.paper").iterdir():
        if not file.name.endswith(".toml"):
            continue
        try:
            data = tomllib.loads(file.read_text(encoding="utf-8"))
            shared = data.pop("shared", {})
            data["rows"] = [shared | row for row in data["rows"]]
            read.append(msgspec.convert(data, PaperTable, strict=True))
        except (ValueError, KeyError) as error:
            raise UserError(f"harness/paper/{file.name}: {error}") from error
    return tuple(sorted(read, key=lambda t: (t.table is None, t.table, t.title)))
