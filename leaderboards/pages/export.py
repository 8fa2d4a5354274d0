"""Boards for other programs and places: static HTML, CSV, Markdown, JSON, and a table for the terminal."""

from __future__ import annotations

import csv
import io
import re
from pathlib import Path

import msgspec

from harness.files import store
from harness.metrics.metric import SHARE
from harness.report.text import printable
from leaderboards.pages.page import EXPORTED, Pages
from leaderboards.pages.reported import beside
from leaderboards.pages.view import Line, View, figure, title, view
from leaderboards.storage.board import Boards
from leaderboards.storage.records import Board


def about(board: Board) -> str:
    return f"digest {board.key.digest[:12]}, scorer {printable(board.key.scorer)}"


def heads(shown: View) -> list[str]:
    return [
        *("rank", "model", "run", "score", "95 % interval", "n", "unparsed, %"),
        *shown.columns,
        *("attempts", "bundle"),
    ]


def cells(shown: View, line: Line) -> list[str]:
    f = line.row.figures
    return [
        str(line.rank),
        printable(line.row.model) + (" [leak]" if f.leaks else ""),
        printable(line.row.name),
        SHARE.format(f.mean),
        f"{SHARE.format(f.low)} to {SHARE.format(f.high)}",
        str(f.n),
        SHARE.format(f.unparsed / f.n),
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
    return "\n".join([title(board) + (" (legacy)" if board.legacy else ""), about(board), *rows])


def export(boards: Boards, out: Path) -> list[Path]:
    """Each board as .html, .csv, .md and .json, and an index.html that leads to them."""
    pages = Pages(boards, EXPORTED)
    files = {"index.html": pages.index(), "reported.html": pages.reported()}
    for board in boards.boards():
        shown = view(boards, board)
        name = f"board-{board.id}"
        files[f"{name}.html"] = pages.board(board.id)
        files[f"{name}.csv"] = as_csv(shown)
        files[f"{name}.md"] = as_markdown(shown)
        files[f"{name}.json"] = as_json(shown)
    with store.writing(out):
        out.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        store.write(out / file, text.encode())
    return [out / file for file in files]


def as_csv(shown: View) -> str:
    """Shares from 0 to 1, unrounded."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    figures = ("mean", "low", "high", "n", "unparsed", "truncated", "unscored", "samples", "leak")
    writer.writerow(
        ["rank", "model", "run", "method", *figures, *shown.columns, "attempts", "added", "bundle"]
    )
    for line in shown.lines:
        row = line.row
        writer.writerow(
            [
                line.rank,
                *map(_harmless, (row.model, row.name, row.figures.method)),
                *(getattr(row.figures, name) for name in figures),
                *(line.columns.get(name, "") for name in shown.columns),
                *(row.attempts, row.added, row.bundle),
            ]
        )
    return file.getvalue()


def _harmless(text: str) -> str:
    """A text that no spreadsheet takes for a formula."""
    return f"'{text}" if text.lstrip()[:1] in ("=", "+", "-", "@") else text


def as_markdown(shown: View) -> str:
    def escaped(text: str) -> str:
        return re.sub(r"[\\`*_\[\]<>|!&~#]", r"\\\g<0>", text)

    board = shown.board
    rows = [heads(shown), ["---"] * len(heads(shown)), *(cells(shown, line) for line in shown.lines)]
    lines = [rows[0], rows[1], *([escaped(cell) for cell in row] for row in rows[2:])]
    table = [f"| {' | '.join(row)} |" for row in lines]
    lines_reported = [
        f"| {row.method} | {row.model} | {row.score:.2f} | {table.source} |" for table, row in beside(board)
    ]
    told = ["", "Reported, not verified, other data:", "", "| method | model | score | source |"]
    return "\n".join(
        [
            f"# {escaped(title(board))}",
            "",
            f"{escaped(about(board))}. {'Legacy. ' if board.legacy else ''}Entries that the 95 % intervals "
            "cannot tell apart share a rank.",
            "",
            *table,
            *([*told, "|---|---|---|---|", *lines_reported] if lines_reported else []),
            "",
        ]
    )


def as_json(shown: View) -> str:
    data = {
        "board": shown.board,
        "entries": shown.lines,
        "reported, not verified, other data": [row for _, row in beside(shown.board)],
    }
    return msgspec.json.format(msgspec.json.encode(data), indent=1).decode() + "\n"
