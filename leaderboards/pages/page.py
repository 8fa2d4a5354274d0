"""The HTML pages of a folder of boards.

Pages load nothing from other addresses, and everything that comes from submissions is escaped.
"""

from collections import Counter
from dataclasses import dataclass
from functools import cache

import msgspec
from jinja2 import Environment, PackageLoader

from harness.compare.differences import compare
from harness.compare.page import FILTERS as COMPARISON_FILTERS
from harness.compare.page import METHOD
from harness.errors import UserError
from harness.paper.tables import tables
from harness.records import Report
from harness.report.page import environment, packaged, script_hash
from leaderboards.columns import description
from leaderboards.marks import COLUMNS, EXPLANATIONS, LEAK
from leaderboards.pages import plots
from leaderboards.pages.ranking import rank, reported_scores, title
from leaderboards.storage.board import Boards
from leaderboards.storage.records import Board

DISCLAIMER = (
    "Scores were recomputed from the stored responses by the scorer installed here. A sha256 proves that a "
    "bundle, the files of a submission, is unchanged since then. It does not prove that a model wrote the "
    "responses."
)
PACKAGE = "leaderboards.pages"
# The number of attempts listed on a page.
MAX_ATTEMPTS = 50
# The number of entries on the page of a board. Another page has all of them, but takes longer to load.
MAX_ENTRIES = 100


@dataclass(frozen=True, slots=True)
class Links:
    """The address of each kind of page. An exported copy has no pages of entries and comparisons: None."""

    index: str
    reported: str
    board: str
    all_entries: str
    entry: str | None
    compare: str | None


SERVED = Links("/", "/reported", "/board/{}", "/board/{}/all", "/entry/{}", "/compare")
EXPORTED = Links("index.html", "reported.html", "board-{}.html", "board-{}-all.html", None, None)


class Pages:
    """The pages of a folder of boards. Methods raise KeyError for a board or a bundle that does not exist."""

    def __init__(self, boards: Boards, links: Links = SERVED) -> None:
        self.boards, self.links = boards, links

    def index(self) -> str:
        benchmarks: dict[tuple[str, str], list[Board]] = {}
        for board in self.boards.boards():
            benchmarks.setdefault((board.benchmark, board.key.digest), []).append(board)
        attempts = self.boards.attempts()
        return self._render(
            "index.html",
            benchmarks=benchmarks,
            attempts=attempts[:MAX_ATTEMPTS],
            outcomes=Counter(attempt.outcome for attempt in attempts),
            total=len(attempts),
        )

    def board(self, id_: str, all_entries: bool = False) -> str:
        """The best entries of a board, or all of them, with its plots."""
        board = self.boards.board(id_)
        ranked = rank(self.boards, board)
        same_benchmark = [b for b in self.boards.boards() if b.key.digest == board.key.digest]
        board_plots = plots.by_depth(self.boards, board), plots.by_tokens(self.boards, board)
        return self._render(
            "board.html",
            board=board,
            ranked=ranked,
            listed=ranked.entries if all_entries else ranked.entries[:MAX_ENTRIES],
            reported=reported_scores(board),
            siblings=[b for b in same_benchmark if b.id != board.id],
            plots=[plot for plot in board_plots if plot is not None],
            bars=plots.bars(ranked),
        )

    def entry(self, sha256: str) -> str:
        bundle = self.boards.stored_bundle(sha256)
        report = msgspec.json.decode(self.boards.bundles.read(bundle, "report.json"), type=Report)
        training = {}
        if "training.json" in bundle.files:
            training = msgspec.json.decode(self.boards.bundles.read(bundle, "training.json"))
        figures = self.boards.figures(sha256)
        return self._render(
            "entry.html",
            bundle=bundle,
            report=report,
            training=training,
            boards=[(b, figures[b.id]) for b in self.boards.boards() if b.id in figures],
            attempts=self.boards.attempts(report.run.digest, bundle.model, report.run.weights)[:MAX_ATTEMPTS],
            explanations=COLUMNS,
        )

    def compare(self, first: str, second: str) -> str:
        """The paired differences of two bundles. Raises UserError if they have no board in common."""
        bundles = [self.boards.stored_bundle(sha256) for sha256 in (first, second)]
        figures = [self.boards.figures(sha256) for sha256 in (first, second)]
        shared = [b for b in self.boards.boards() if all(b.id in of_bundle for of_bundle in figures)]
        if not shared:
            raise UserError("expected two entries of the same board, got entries without a common board")
        for bundle in bundles:
            # `compare` reads these files itself. Reading them here verifies that they are unchanged.
            for name in ("run.json", "scores.jsonl", "report.json"):
                self.boards.bundles.read(bundle, name)
        folder = self.boards.bundles.folder
        differences = compare(folder / first, [folder / second]).differences
        variants = {b.key.variant for b in shared}
        return self._render(
            "compare.html",
            method=METHOD,
            bundles=bundles,
            board=shared[0],
            differences=[d for d in differences if d.variant in variants],
            figures=[(b, *(of_bundle[b.id] for of_bundle in figures)) for b in shared],
        )

    def reported(self) -> str:
        return self._render("reported.html", tables=tables())

    def error(self, message: str) -> str:
        return self._render("error.html", message=message)

    def _render(self, template: str, **values: object) -> str:
        script = packaged("board.js", PACKAGE)
        loaded = _environment().get_template(template)
        return loaded.render(
            links=self.links,
            style=packaged("report.css") + packaged("board.css", PACKAGE),
            script=script,
            script_hash=script_hash(script),
            disclaimer=DISCLAIMER,
            **values,
        )


@cache
def _environment() -> Environment:
    jinja = environment()
    jinja.loader = PackageLoader(PACKAGE)
    jinja.filters |= {
        **COMPARISON_FILTERS,
        "title": title,
        "description": description,
        "draw": plots.draw,
    }
    jinja.globals |= {"interval_svg": plots.interval, "zip": zip, "LEAK": LEAK, "explained": EXPLANATIONS}
    return jinja
