"""Serves boards over HTTP, read-only: only GET and HEAD, and by default only to this machine."""

import re
import sys
from contextlib import closing
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from threading import Lock
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlsplit

from harness.errors import UserError
from harness.text import reason
from leaderboards.pages.page import Pages
from leaderboards.pages.plots import BoardPlot, draw
from leaderboards.storage.board import Boards

SHA256 = r"[0-9a-f]{64}"
HTML = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
_RESOURCES = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
# For pages rendered here. A meta element in each page allows only the script with the expected hash.
PAGE_POLICY = f"frame-ancestors 'none'; base-uri 'none'; form-action 'self'; {_RESOURCES}"
# For the files of a bundle, which are not trusted: a sandbox without access to the boards.
BUNDLE_POLICY = f"sandbox allow-scripts; frame-ancestors 'none'; {_RESOURCES}"

# One page is computed at a time: only one thread may draw plots, and more threads would only open more files.
_one_page = Lock()


class Answer(NamedTuple):
    """An HTTP response."""

    status: int
    content_type: str
    security_policy: str
    body: bytes


class Handler(BaseHTTPRequestHandler):
    server_version = "leaderboard"
    sys_version = ""
    timeout = 30

    def __init__(self, folder: Path, quiet: bool, *arguments: object) -> None:
        self.folder, self.quiet = folder, quiet
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self._send(self._answer())

    def do_HEAD(self) -> None:
        self._send(self._answer(), body=False)

    def _answer(self) -> Answer:
        try:
            if not _is_own_host(self.headers.get("Host", "")):
                # Prevents DNS rebinding: a page whose domain resolves to this machine could read the boards.
                return _refusal(421, "open this server by its address or as localhost")
        except ValueError as error:
            return _refusal(400, f"expected a host and a port in the header Host: {error}")
        try:
            with _one_page, closing(Boards(self.folder)) as boards:
                return respond(boards, self.path)
        except UserError as error:
            return _refusal(503, str(error))
        # A page that fails must not leave the request without an answer.
        except Exception as error:
            return _refusal(500, f"this page cannot be shown: {reason(error)}")

    def _send(self, answer: Answer, body: bool = True) -> None:
        self.send_response(answer.status)
        self.send_header("Content-Type", answer.content_type)
        self.send_header("Content-Security-Policy", answer.security_policy)
        for name, value in HEADERS.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        if body:
            self.wfile.write(answer.body)

    def log_message(self, format: str, *args: object) -> None:
        if not self.quiet:
            super().log_message(format, *args)


def respond(boards: Boards, target: str) -> Answer:
    """Answers a request for a path. Names in the path are looked up, and never joined to a path on disk."""
    pages = Pages(boards)
    try:
        address = urlsplit(target)
        if file := re.fullmatch(rf"/entry/({SHA256})/([\w.-]+)", address.path):
            bundle = boards.stored_bundle(file[1])
            content_type = HTML if file[2] == "report.html" else TEXT
            return Answer(200, content_type, BUNDLE_POLICY, boards.bundles.read(bundle, file[2]))
        return _page_answer(200, _page(pages, address.path, parse_qs(address.query)))
    except UserError as error:
        return _page_answer(409, pages.error(str(error)))
    except (KeyError, ValueError):
        return _page_answer(404, pages.error("There is no such page."))


def _refusal(status: int, message: str) -> Answer:
    return Answer(status, TEXT, BUNDLE_POLICY, f"{message}\n".encode(errors="replace"))


def _page_answer(status: int, page: str) -> Answer:
    return Answer(status, HTML, PAGE_POLICY, page.encode())


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


def _is_own_host(host: str) -> bool:
    """Whether a request names this server by an IP address or as localhost, and not by a domain.

    Raises ValueError for what is not a host.
    """
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return name == "localhost" or bool(ip_address(name))
    except ValueError:
        return False


class Server(ThreadingHTTPServer):
    # How many connections wait until they are accepted. The system drops more, and browsers retry slowly.
    request_queue_size = 1024

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Reports an error, except that the browser closed its connection."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def make_server(folder: Path, host: str, port: int, quiet: bool = False) -> Server:
    """A server of the boards in a folder. Raises UserError if it has none, or the address is unavailable."""
    Boards(folder).close()
    # Draw one plot now. The first plot imports matplotlib, which takes most of a second.
    draw(BoardPlot("", "", ()))
    try:
        return Server((host, port), partial(Handler, folder, quiet))
    except (OSError, OverflowError) as error:
        raise UserError(f"--host, --port: cannot listen on {host}:{port}: {error}") from error
