"""Writes boards as static HTML, CSV, Markdown and JSON, and formats them as tables for the terminal."""

import csv
import io
from dataclasses import replace
from pathlib import Path

import msgspec

from harness.errors import UserError
from harness.files import store
from harness.metrics.metric import SHARE
from harness.report.text import escape_markdown, fitting_table, left_out_note, markdown_table
from harness.text import printable
from leaderboards.pages.eval_results import eval_results
from leaderboards.pages.page import EXPORTED, MAX_ENTRIES, Pages
from leaderboards.pages.ranking import RankedBoard, rank, reported_scores, title
from leaderboards.storage.board import Boards
from leaderboards.storage.records import Board

# The first columns of a table, rank, model and run, are left-aligned.
LEFT_ALIGNED = 3
# The columns that a terminal shows even if it is too narrow for them.
MAIN = "rank", "model", "score (%)", "95 % interval"
# What a reader should know before trusting a score comes before further figures.
TRUST = "marks", "n"


def terminal(boards: Boards, legacy: bool = False, width: int | None = None) -> str:
    """All boards as tables, followed by an explanation of their columns.

    With a width in characters, a table has as many columns as fit, the main ones first.
    """
    sections: list[str] = []
    described: dict[str, str] = {}
    left_out: dict[str, None] = {}
    for board in boards.boards():
        if legacy or not board.legacy:
            ranked = rank(boards, board)
            heading = title(board) + (" (legacy)" if board.legacy else "")
            head, rows = _head_and_rows(ranked)
            table, others = fitting_table(head, rows, LEFT_ALIGNED, width, MAIN, TRUST)
            left_out |= dict.fromkeys(others)
            named = replace(ranked, columns=[c for c in ranked.columns if c.title not in others]).legend
            described |= {titles: text for titles, text in named.items() if titles not in left_out}
            sections.append(f"{heading}\n{_versions(board)}\n{table}")
    if described:
        sections.append("\n".join(f"{titles}: {text}" for titles, text in described.items()))
    if left_out:
        sections.append(left_out_note(left_out))
    return "\n\n".join(sections) or "no entries yet"


def _versions(board: Board) -> str:
    return f"digest {board.key.digest[:12]}, scorer {printable(board.key.scorer)}"


def _head_and_rows(ranked: RankedBoard) -> tuple[list[str], list[list[str]]]:
    """The table of a board, with rounded figures, for the terminal and Markdown."""
    head = ["rank", "model", "run", "score (%)", "95 % interval", "n", "unparsed (%)"]
    head += [*(column.title for column in ranked.columns), "attempts", "bundle", "marks"]
    rows = []
    for row in ranked.entries:
        entry, f = row.entry, row.entry.figures
        n = f"{f.n} −{f.unscored}" if f.unscored else str(f.n)
        score = SHARE.format(f.mean), SHARE.interval(f.low, f.high), n, SHARE.format(f.unparsed / f.n)
        others = [column.unit.format(row.columns.get(column.name)) for column in ranked.columns]
        last = str(entry.attempts), entry.bundle[:12], ", ".join(row.marks)
        rows.append([str(row.rank), entry.model, entry.name, *score, *others, *last])
    return head, rows


def export(boards: Boards, out: Path, hub_organization: str | None = None) -> list[Path]:
    """Writes each board as .html, .csv, .md and .json, and an index.html that links to them.

    With an organization, also the files of `eval_results`. Raises UserError if the folder contains something
    other than an earlier export.
    """
    pages = Pages(boards, EXPORTED)
    files = {"index.html": pages.index(), "reported.html": pages.reported()}
    for board in boards.boards():
        ranked = rank(boards, board)
        name = f"board-{board.id}"
        files[f"{name}.html"] = pages.board(board.id)
        if len(ranked.entries) > MAX_ENTRIES:
            files[f"{name}-all.html"] = pages.board(board.id, all_entries=True)
        files[f"{name}.csv"] = as_csv(ranked)
        files[f"{name}.md"] = as_markdown(ranked)
        files[f"{name}.json"] = as_json(ranked)
    if hub_organization is not None:
        files |= eval_results(boards, hub_organization)
    with store.writing(out):
        out.mkdir(parents=True, exist_ok=True)
    if not store.is_empty(out) and not (out / "reported.html").exists():
        raise UserError(f"out: expected a new or empty folder, or an earlier export, got {out}; name another")
    for file, text in files.items():
        (out / file).parent.mkdir(parents=True, exist_ok=True)
        store.write(out / file, text.encode())
    return [out / file for file in files]


def as_csv(ranked: RankedBoard) -> str:
    """The entries of a board with values that are neither scaled nor rounded: shares are from 0 to 1."""
    file = io.StringIO()
    writer = csv.writer(file, lineterminator="\n")
    figures = ("mean", "low", "high", "n", "unparsed", "truncated", "unscored", "samples", "leak")
    columns = [column.name for column in ranked.columns]
    head = ["rank", "model", "run", "method", *figures, *columns, "attempts", "added", "bundle", "marks"]
    writer.writerow(map(_cell, head))
    for row in ranked.entries:
        entry = row.entry
        names = entry.model, entry.name, entry.figures.method
        values = [getattr(entry.figures, name) for name in figures]
        values += [row.columns.get(name, "") for name in columns]
        last = entry.attempts, entry.added, entry.bundle, "; ".join(row.marks)
        writer.writerow(map(_cell, [row.rank, *names, *values, *last]))
    return file.getvalue()


def _cell(value: object) -> object:
    """A printable text, with an apostrophe in front if a spreadsheet would evaluate it as a formula."""
    if not isinstance(value, str):
        return value
    formula = value.lstrip()[:1] in ("=", "+", "-", "@")
    return printable(f"'{value}" if formula else value)


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
        *(escape_markdown(f"{titles}: {text}\n") for titles, text in ranked.legend.items()),
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
        "entries": [
            {"rank": row.rank, "row": row.entry, "columns": row.columns, "marks": row.marks}
            for row in ranked.entries
        ],
        "reported, not verified, other data": [score for _, score in reported_scores(ranked.board)],
    }
    return msgspec.json.format(msgspec.json.encode(data), indent=1).decode() + "\n"
