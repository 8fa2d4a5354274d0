"""What every display of a board contains: ranked entries, columns with values, and scores of the paper."""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import fmean

from harness.metrics.metric import Quantity
from harness.paper.tables import PaperTable, ReportedScore, tables
from harness.text import printable
from harness.variants import INTERNALIZED
from leaderboards.columns import FORGETTING, RECALL, legend, quantities, stored_columns
from leaderboards.marks import COLUMNS, EXPLANATIONS, marks
from leaderboards.storage.board import Boards
from leaderboards.storage.records import Board, Entry


@dataclass(frozen=True, slots=True)
class RankedEntry:
    rank: int
    entry: Entry
    # The values by the name of the column. A column without a value is missing.
    columns: dict[str, float]
    # What to know before trusting the score; see leaderboards.marks.
    marks: Sequence[str]


@dataclass(frozen=True, slots=True)
class RankedBoard:
    board: Board
    entries: Sequence[RankedEntry]
    # The columns that at least one entry has.
    columns: Sequence[Quantity]

    @property
    def legend(self) -> dict[str, str]:
        """The explanations of the columns and of the marks that occur, by title."""
        found = {mark for entry in self.entries for mark in entry.marks}
        explained = {mark: text for mark, text in EXPLANATIONS.items() if mark in found}
        return {**legend(self.columns), **explained, **COLUMNS}


def ranks(intervals: Sequence[tuple[float, float]]) -> list[int]:
    """The rank of each entry: 1 + the number of entries whose low is above its high.

    Those entries are significantly better. Several entries can have the same rank.
    """
    lows = sorted(low for low, _ in intervals)
    return [1 + len(lows) - bisect_right(lows, high) for _, high in intervals]


def rank(boards: Boards, board: Board) -> RankedBoard:
    """Ranks the entries of a board, and adds the columns that are computed from other boards."""
    entries = boards.entries(board)
    recalls = _recalls(boards, board)
    changes = _forgetting(boards, entries) if board.governed else {}
    marked = marks(entries)
    ranked = []
    intervals = [(entry.figures.low, entry.figures.high) for entry in entries]
    for entry_rank, entry in zip(ranks(intervals), entries, strict=True):
        columns = stored_columns(entry.figures.columns)
        if entry.model in recalls:
            columns[RECALL.name] = recalls[entry.model]
        if entry.bundle in changes:
            columns[FORGETTING.name] = changes[entry.bundle]
        if not board.key.judge:
            # The accuracy under the board's own variant is the score itself.
            columns.pop(board.key.variant, None)
        ranked.append(RankedEntry(entry_rank, entry, columns, marked[entry.bundle]))
    return RankedBoard(board, ranked, quantities(dict.fromkeys(c for e in ranked for c in e.columns)))


def title(board: Board) -> str:
    """The benchmark, variant and judge of a board in one line."""
    split = "" if board.key.split == "test" else f" ({board.key.split})"
    judge = f", judged by {board.key.judge}" if board.key.judge else ""
    return printable(f"{board.benchmark}{split}, {board.key.variant}{judge}")


def _latest_scores(boards: Boards, board: Board) -> dict[str, float]:
    """The score of each model's latest entry on a board."""
    entries = sorted(boards.entries(board), key=lambda entry: entry.added)
    return {entry.model: entry.figures.mean for entry in entries}


def _recalls(boards: Boards, board: Board) -> dict[str, float]:
    """The latest score of each model on the recall split of the same benchmark, by the same scorer."""
    if board.key.split == "recall":
        return {}
    key = board.key._replace(split="recall", variant=INTERNALIZED.name, judge="")
    matching = [other for other in boards.boards() if other.key == key]
    return _latest_scores(boards, matching[0]) if matching else {}


def _forgetting(boards: Boards, entries: Sequence[Entry]) -> dict[str, float]:
    """For each bundle, the mean change over the general benchmarks with scores of the model and its base."""
    if not any(entry.figures.base for entry in entries):
        return {}
    current = [b for b in boards.boards() if not b.governed and not b.legacy and not b.key.judge]
    general = [_latest_scores(boards, b) for b in current]
    changes = {}
    for entry in entries:
        base, model = entry.figures.base, entry.model
        both = [scores for scores in general if base in scores and model in scores]
        if base is not None and both:
            changes[entry.bundle] = fmean(scores[model] - scores[base] for scores in both)
    return changes


def reported_scores(board: Board) -> list[tuple[PaperTable, ReportedScore]]:
    """The paper's scores for this kind of benchmark and variant, the best first, each with its table."""
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
