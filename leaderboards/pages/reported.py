"""The scores that the paper reports for a board's kind of benchmark."""

from __future__ import annotations

from harness.paper.tables import PaperTable, ReportedScore, tables
from leaderboards.storage.records import Board


def reported_scores(board: Board) -> list[tuple[PaperTable, ReportedScore]]:
    """The paper's scores for this kind of benchmark and variant, each with its table, the best first."""
    if board.key.split != "test":
        return []
    wanted = board.family, board.key.variant, bool(board.key.judge)
    setting = board.config.get("depth"), board.config.get("visual")
    scores = [
        (table, row)
        for table in tables()
        for row in table.rows
        if (row.family, row.variant, bool(row.judge)) == wanted
        and (row.depth is None or (row.depth, row.visual) == setting)
    ]
    return sorted(scores, key=lambda pair: -pair[1].score)
