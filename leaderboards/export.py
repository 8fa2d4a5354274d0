"""A board for other programs and places: as a table for the terminal."""

from __future__ import annotations

from harness.compare_page import printable, signed
from harness.page import percent, thousands
from leaderboards.board import Board, Boards
from leaderboards.view import SHARES, Line, View, view


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
        return signed(value)
    if column == "cost":
        return f"{value:.2f}"
    return percent(value) if column in SHARES else thousands(value)


def heads(shown: View) -> list[str]:
    return [
        *("rank", "model", "run", "score", "95 % interval", "n", "unparsed"),
        *shown.columns,
        *("attempts", "bundle"),
    ]


def cells(shown: View, line: Line) -> list[str]:
    f = line.row.figures
    return [
        str(line.rank),
        printable(line.row.model) + (" [leak]" if f.leaks else ""),
        printable(line.row.name),
        percent(f.mean),
        f"{percent(f.low)} to {percent(f.high)}",
        str(f.n),
        str(f.unparsed),
        *(figure(name, line.columns.get(name)) for name in shown.columns),
        str(line.row.attempts),
        line.row.bundle[:12],
    ]


def terminal(boards: Boards, legacy: bool = False) -> str:
    """All boards, one table each."""
    chosen = [board for board in boards.boards() if legacy or not board.legacy]
    return "\n\n".join(_table(view(boards, board)) for board in chosen) or "no entries yet"


def _table(shown: View) -> str:
    lines = [heads(shown), *(cells(shown, line) for line in shown.lines)]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    texts = {1, 2}
    rows = [
        "  ".join(
            cell.ljust(width) if place in texts else cell.rjust(width)
            for place, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    ]
    board = shown.board
    about = f"digest {board.key.digest[:12]}, scorer {board.key.scorer}"
    return "\n".join([title(board) + (" (legacy)" if board.legacy else ""), about, *rows])
