"""Serves boards over HTTP, read-only, and by default only to this machine."""

import re
from contextlib import closing
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from harness import server
from harness.errors import UserError
from harness.server import HTML, SANDBOX_POLICY, TEXT, Answer, Server, page_answer
from leaderboards.pages.page import Pages
from leaderboards.pages.plots import BoardPlot, draw
from leaderboards.storage.board import Boards

SHA256 = r"[0-9a-f]{64}"


def respond(boards: Boards, target: str) -> Answer:
    """Answers a request for a path. Names in the path are looked up, and never joined to a path on disk."""
    pages = Pages(boards)
    try:
        address = urlsplit(target)
        if file := re.fullmatch(rf"/entry/({SHA256})/([\w.-]+)", address.path):
            bundle = boards.stored_bundle(file[1])
            content_type = HTML if file[2] == "report.html" else TEXT
            return Answer(200, content_type, SANDBOX_POLICY, boards.bundles.read(bundle, file[2]))
        return page_answer(200, _page(pages, address.path, parse_qs(address.query)))
    except UserError as error:
        return page_answer(409, pages.error(str(error)))
    except (KeyError, ValueError):
        return page_answer(404, pages.error("There is no such page."))


def _page(pages: Pages, path: str, query: dict[str, list[str]]) -> str:
    """The page at a path. Raises KeyError if there is none."""
    if path == "/":
        return pages.index()
    if path == "/reported":
        return pages.reported()
    if path == "/compare":
        chosen = query.get("entry", [])
        if len(chosen) != 2 or chosen[0] == chosen[1]:
            raise UserError(f"Choose two entries to compare, not {len(set(chosen))}.")
        return pages.compare(*chosen)
    if board := re.fullmatch(r"/board/([0-9a-f]{16})(/all)?", path):
        return pages.board(board[1], all_entries=board[2] is not None)
    entry = re.fullmatch(rf"/entry/({SHA256})", path)
    if not entry:
        raise KeyError(path)
    return pages.entry(entry[1])


def make_server(folder: Path, host: str, port: int, quiet: bool = False) -> Server:
    """A server of the boards in a folder. Raises UserError if it has none, or the address is unavailable."""
    Boards(folder).close()
    # Draw one plot now. The first plot imports matplotlib, which takes most of a second.
    draw(BoardPlot("", "", ()))

    def respond_from(target: str) -> Answer:
        # Only one thread may draw plots, and more threads would only open more files.
        with closing(Boards(folder)) as boards:
            return respond(boards, target)

    return server.make_server(respond_from, "leaderboard", host, port, quiet)
