"""A board as it is shown everywhere: ranked rows, the columns that have values, the paper's rows apart."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from harness.metrics.metric import SHARE, TOKENS
from harness.report.text import printable
from harness.variants import INTERNALIZED
from leaderboards.pages.rank import ranks
from leaderboards.storage.board import Boards
from leaderboards.storage.records import Board, Row

COLUMNS = {
    "internalized": "accuracy, the policy not shown",
    "in_context": "accuracy, the policy shown",
    "override": "accuracy, a replacement policy shown",
    "referral": "what it says of rules that is true, by the judge `rules`",
    "rule recall": "rules on the way to the right answer that it cites truly",
    "nonexistent": "named rules that do not exist; lower is better",
    "branching": "distance of the rules cited from those that should be; lower is better",
    "recall": "accuracy on the recall split: reciting the policy",
    "forgetting": "mean change on general benchmarks from the model that it was trained from",
    "tokens saved": "of the prompt, by leaving the policy out",
    "prompt tokens": "mean a prompt",
    "cost": "US dollars for all responses by the table of prices",
}
"""What may stand beside the score, and what it means."""
SHARES = tuple(name for name in COLUMNS if name not in ("prompt tokens", "cost", "forgetting"))


@dataclass(frozen=True, slots=True)
class Line:
    rank: int
    row: Row
    columns: dict[str, float]


@dataclass(frozen=True, slots=True)
class View:
    board: Board
    lines: Sequence[Line]
    columns: Sequence[str]
    """Those that any line has, without the board's own variant: that is the score."""


def title(board: Board) -> str:
    """What a board ranks, in a line."""
    split = "" if board.key.split == "test" else f" ({board.key.split})"
    judge = f", judged by {board.key.judge}" if board.key.judge else ""
    return printable(f"{board.benchmark}{split}, {board.key.variant}{judge}")


def figure(column: str, value: float | None) -> str:
    """A column's value as a reader wants it."""
    if value is None:
        return "–"
    if column == "forgetting":
        return SHARE.change(value)
    if column == "cost":
        return f"{value:.2f}"
    return SHARE.format(value) if column in SHARES else TOKENS.format(value)


def view(boards: Boards, board: Board) -> View:
    rows = boards.rows(board)
    recalled = _recall(boards, board)
    forgotten = _forgetting(boards, rows) if board.governed else {}
    places = ranks([(row.figures.low, row.figures.high) for row in rows])
    lines = []
    for rank, row in zip(places, rows, strict=True):
        columns = {name: v for name, v in row.figures.columns.items() if v is not None}
        if row.model in recalled:
            columns["recall"] = recalled[row.model]
        if row.bundle in forgotten:
            columns["forgetting"] = forgotten[row.bundle]
        if not board.key.judge:
            columns.pop(board.key.variant, None)
        lines.append(Line(rank, row, columns))
    present = {name for line in lines for name in line.columns}
    return View(board, lines, [name for name in COLUMNS if name in present])


def _latest(boards: Boards, board: Board) -> dict[str, float]:
    """By model, its latest figure on another board."""
    rows = sorted(boards.rows(board), key=lambda row: row.added)
    return {row.model: row.figures.mean for row in rows}


def _recall(boards: Boards, board: Board) -> dict[str, float]:
    """Of the same benchmark and scorer, the split that asks for the policy's own words."""
    if board.key.split == "recall":
        return {}
    for other in boards.boards():
        if other.key == board.key._replace(split="recall", variant=INTERNALIZED.name, judge=""):
            return _latest(boards, other)
    return {}


def _forgetting(boards: Boards, rows: Sequence[Row]) -> dict[str, float]:
    """By bundle, over the general benchmarks that both the model and its base have."""
    if not any(row.figures.base for row in rows):
        return {}
    general = [
        _latest(boards, b) for b in boards.boards() if not b.governed and not b.legacy and not b.key.judge
    ]
    changes = {}
    for row in rows:
        base = row.figures.base
        pairs = [(g[base], g[row.model]) for g in general if base in g and row.model in g]
        if pairs:
            changes[row.bundle] = sum(after - before for before, after in pairs) / len(pairs)
    return changes
