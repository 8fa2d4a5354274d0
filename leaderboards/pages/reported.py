"""The paper's results beside a board of the same kind of benchmark."""

from __future__ import annotations

from harness.paper.tables import Reported, Table, tables
from leaderboards.storage.records import Board


def beside(board: Board) -> list[tuple[Table, Reported]]:
    """The rows that the paper reports for this kind of benchmark and variant, best score first."""
    if board.key.split != "test":
        return []
    of = board.family, board.key.variant, bool(board.key.judge)
    config = board.config.get("depth"), board.config.get("visual")
    rows = [
        (table, row)
        for table in tables()
        for row in table.rows
        if (row.family, row.variant, bool(row.judge)) == of
        and (row.depth is None or (row.depth, row.visual) == config)
    ]
    return sorted(rows, key=lambda pair: -pair[1].score)
