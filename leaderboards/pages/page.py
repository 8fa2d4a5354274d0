"""Boards to look at: HTML that fetches nothing, and in which whatever was submitted stays text."""

from __future__ import annotations

import base64
import hashlib
from dataclasses import dataclass
from functools import cache
from importlib import resources

import msgspec
from jinja2 import Environment, PackageLoader
from markupsafe import Markup

from harness.compare.page import FILTERS as COMPARISON
from harness.compare.pairs import compare
from harness.errors import UserError
from harness.paper.tables import tables
from harness.records import Report
from harness.report.page import environment, packaged
from leaderboards.pages import plots
from leaderboards.pages.reported import beside
from leaderboards.pages.view import COLUMNS, figure, title, view
from leaderboards.storage.board import Boards
from leaderboards.storage.records import Board

HONESTY = (
    "Scores are recomputed from the stored responses by the scorer installed here. A sha256 proves that a "
    "bundle is as it was submitted; it cannot prove that a model wrote the responses."
)


@dataclass(frozen=True, slots=True)
class Links:
    """Where a page leads to; None where a static copy has no such page."""

    index: str
    reported: str
    board: str
    entry: str | None
    compare: str | None


SERVED = Links("/", "/reported", "/board/{}", "/entry/{}", "/compare")
EXPORTED = Links("index.html", "reported.html", "board-{}.html", None, None)


class Pages:
    """All pages of a folder of boards."""

    def __init__(self, boards: Boards, links: Links = SERVED) -> None:
        self.boards, self.links = boards, links

    def index(self) -> str:
        found: dict[tuple[str, str], list[Board]] = {}
        for board in self.boards.boards():
            found.setdefault((board.benchmark, board.key.digest), []).append(board)
        attempts = self.boards.attempts()
        return self._render(
            "index.html",
            benchmarks=found,
            attempts=attempts[:50],
            outcomes={o: sum(a.outcome == o for a in attempts) for o in {a.outcome for a in attempts}},
            total=len(attempts),
        )

    def board(self, id_: str) -> str:
        board = self.boards.board(id_)
        shown = view(self.boards, board)
        drawn = (plots.by_depth(self.boards, board), plots.by_tokens(self.boards, board))
        return self._render(
            "board.html",
            board=board,
            view=shown,
            reported=beside(board),
            meanings={name: COLUMNS[name] for name in shown.columns},
            siblings=[
                b for b in self.boards.boards() if b.key.digest == board.key.digest and b.id != board.id
            ],
            plots=[plot for plot in drawn if plot is not None],
            bars=plots.bars(shown),
        )

    def entry(self, sha256: str) -> str:
        kept = self.boards.kept(sha256)
        report = msgspec.json.decode(self.boards.bundles.read(kept, "report.json"), type=Report)
        training = kept.files.get("training.json") and msgspec.json.decode(
            self.boards.bundles.read(kept, "training.json")
        )
        of = self.boards.of_bundle(sha256)
        return self._render(
            "entry.html",
            kept=kept,
            report=report,
            training=training or {},
            boards=[(b, of[b.id]) for b in self.boards.boards() if b.id in of],
            attempts=self.boards.attempts(report.run.digest, kept.model)[:50],
        )

    def compare(self, first: str, second: str) -> str:
        """Two bundles, instance by instance, where they stand on the same boards."""
        sides = [self.boards.kept(sha256) for sha256 in (first, second)]
        shared = self.boards.of_bundle(first).keys() & self.boards.of_bundle(second).keys()
        on = [b for b in self.boards.boards() if b.id in shared]
        if not on:
            raise UserError("expected two entries of one board; these share none")
        for side in sides:
            for name in ("run.json", "scores.jsonl"):
                self.boards.bundles.read(side, name)
        folder = self.boards.bundles.folder
        differences = compare(folder / first, [folder / second]).differences
        variants = {b.key.variant for b in on}
        return self._render(
            "compare.html",
            sides=sides,
            board=on[0],
            differences=[d for d in differences if d.variant in variants],
            figures=[
                (b, self.boards.of_bundle(first)[b.id], self.boards.of_bundle(second)[b.id]) for b in on
            ],
        )

    def reported(self) -> str:
        return self._render("reported.html", tables=tables())

    def error(self, message: str) -> str:
        return self._render("error.html", message=message)

    def _render(self, template: str, **values: object) -> str:
        script = _own("board.js")
        digest = base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
        return (
            _environment()
            .get_template(template)
            .render(
                links=self.links,
                style=packaged("report.css") + _own("board.css"),
                script=script,
                script_hash=digest,
                honesty=HONESTY,
                **values,
            )
        )


@cache
def _environment() -> Environment:
    made = environment()
    made.loader = PackageLoader("leaderboards.pages")
    made.filters |= {**COMPARISON, "title": title}
    made.globals |= {
        "figure": figure,
        "height": plots.height,
        "span": plots.span,
        "plot_width": plots.WIDTH,
        "zip": zip,
    }
    return made


def _own(name: str) -> Markup:
    return Markup((resources.files("leaderboards.pages") / "templates" / name).read_text(encoding="utf-8"))
