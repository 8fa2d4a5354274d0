"""Writes boards as static HTML, CSV, Markdown and JSON, and formats them as tables for the terminal."""

import csv
import io
from pathlib import Path

import msgspec

from harness.files import store
from harness.metrics.metric import SHARE, Quantity
from harness.report.text import escape_markdown, markdown_table, terminal_table
from harness.text import printable
from leaderboards.columns import legend
from leaderboards.pages.page import EXPORTED, Pages
from leaderboards.pages.ranking import RankedBoard, rank, reported_scores, title
from leaderboards.storage.board import Boards
from leaderboards.storage.records import Board

# The first columns of a table, rank, model and run, are left-aligned.
LEFT_ALIGNED = 3


def terminal(boards: Boards, legacy: bool = False) -> str:
    """All boards as tables, followed by an explanation of their columns."""
    sections: list[str] = []
    columns: dict[str, Quantity] = {}
    for board in boards.boards():
        if legacy or not board.legacy:
            ranked = rank(boards, board)
            columns |= {column.name: column for column in ranked.columns}
            heading = title(board) + (" (legacy)" if board.legacy else "")
            table = terminal_table(*_head_and_rows(ranked), LEFT_ALIGNED)
            sections.append(f"{heading}\n{_versions(board)}\n{table}")
    if described := legend(columns.values()):
        sections.append("\n".join(f"{titles}: {text}" for titles, text in described.items()))
    return "\n\n".join(sections) or "no entries yet"


def _versions(board: Board) -> str:
    return f"digest {board.key.digest[:12]}, scorer {printable(board.key.scorer)}"


def _head_and_rows(ranked: RankedBoard) -> tuple[list[str], list[list[str]]]:
    """The table of a board, with rounded figures, for the terminal and Markdown."""
    head = ["rank", "model", "run", "score (%)", "95 % interval", "n", "unparsed (%)"]
    head += [*(column.title for column in ranked.columns), "attempts", "bundle"]
    rows = []
    for row in ranked.entries:
        entry, f = row.entry, row.entry.figures
        names = entry.model + (" [leak]" if f.leaks else ""), entry.name
        score = SHARE.format(f.mean), SHARE.interval(f.low, f.high), str(f.n), SHARE.format(f.unparsed / f.n)
        others = [column.unit.format(row.columns.get(column.name)) for column in ranked.columns]
        rows.append([str(row.rank), *names, *score, *others, str(entry.attempts), entry.bundle[:12]])
    return head, rows


def export(boards: Boards, out: Path) -> list[Path]:
    """Writes each board as .html, .csv, .md and .json, and an index.html that links to them."""
    pages = Pages(boards, EXPORTED)
    files = {"index.html": pages.index(), "reported.html": pages.reported()}
    for board in boards.boards():
        ranked = rank(boards, board)
        name = f"board-{board.id}"
        files[f"{name}.html"] = pages.board(board.id)
        files[f"{name}.csv"] = as_csv(ranked)
        files[f"{name}.md"] = as_markdown(ranked)
        files[f"{name}.json"] = as_json(ranked)
    with store.writing(out):
        out.mkdir(parents=True, exist_ok=True)
    for file, text in files.items():
        store.write(out / file, text.encode())
    return [out / file for file in files]


def as_csv(ranked: RankedBoard) -> str:
    """The entries of a board with values that are neither scaled nor rounded: shares are from 0 to 1."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    figures = ("mean", "low", "high", "n", "unparsed", "truncated", "unscored", "samples", "leak")
    columns = [column.name for column in ranked.columns]
    writer.writerow(["rank", "model", "run", "method", *figures, *columns, "attempts", "added", "bundle"])
    for row in ranked.entries:
        entry = row.entry
        names = map(_not_a_formula, (entry.model, entry.name, entry.figures.method))
        values = [getattr(entry.figures, name) for name in figures]
        values += [row.columns.get(name, "") for name in columns]
        writer.writerow([row.rank, *names, *values, entry.attempts, entry.added, entry.bundle])
    return file.getvalue()


def _not_a_formula(text: str) -> str:
    """The text as one printable line, with an apostrophe in front if a spreadsheet would evaluate it."""
    text = printable(text)
    return f"'{text}" if text.lstrip()[:1] in ("=", "+", "-", "@") else text


def as_markdown(ranked: RankedBoard) -> str:
    board = ranked.board
    legacy = "Legacy. " if board.legacy else ""
    lines = [
        f"# {escape_markdown(title(board))}",
        "",
        f"{escape_markdown(_versions(board))}. {legacy}Rank: 1 + the number of significantly better entries.",
        "",
        markdown_table(*_head_and_rows(ranked), LEFT_ALIGNED),
        "",
        *(escape_markdown(f"{titles}: {text}\n") for titles, text in legend(ranked.columns).items()),
        "",
    ]
    reported = [(s.method, s.model, f"{s.score:.2f}", t.source) for t, s in reported_scores(board)]
    if reported:
        head = ("method", "model", "score (%)", "source")
        lines += ["Reported, not verified, other data:", "", markdown_table(head, reported, texts=2), ""]
    return "\n".join(lines)


def as_json(ranked: RankedBoard) -> str:
    """A board as JSON. Values are not scaled, and `columns` describes them."""
    data = {
        "board": ranked.board,
        "columns": {
            column.name: {
                "title": column.title,
                "unit": column.unit.symbol,
                "direction": column.direction,
                "explanation": column.explanation,
            }
            for column in ranked.columns
        },
        "entries": [{"rank": row.rank, "row": row.entry, "columns": row.columns} for row in ranked.entries],
        "reported, not verified, other data": [score for _, score in reported_scores(ranked.board)],
    }
    return msgspec.json.format(msgspec.json.encode(data), indent=1).decode() + "\n"
