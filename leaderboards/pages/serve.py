"""Boards over HTTP, to be read and never written: GET and HEAD, on this machine unless told otherwise."""

from __future__ import annotations

import re
from contextlib import closing
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from harness.errors import UserError
from leaderboards.pages.page import Pages
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
PAGE = "frame-ancestors 'none'; base-uri 'none'; default-src 'none'; form-action 'self'; " + (
    "style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
)
"""For our own pages, each of which narrows its scripts down to one by its hash."""
STORED = "sandbox allow-scripts; frame-ancestors 'none'; default-src 'none'; style-src 'unsafe-inline'; " + (
    "script-src 'unsafe-inline'; img-src data:"
)
"""For what lies in a bundle: a page of its own, without any access to the boards'."""


class Handler(BaseHTTPRequestHandler):
    server_version = "leaderboard"
    sys_version = ""
    timeout = 30

    def __init__(self, folder: Path, quiet: bool, *arguments: object) -> None:
        self.folder, self.quiet = folder, quiet
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self._answer(body=True)

    def do_HEAD(self) -> None:
        self._answer(body=False)

    def _answer(self, body: bool) -> None:
        if not known_host(self.headers.get("Host", "")):
            # A page from elsewhere that had its name point here could read the boards otherwise.
            self._send(421, TEXT, STORED, b"open this server by its address or as localhost\n", body)
            return
        try:
            with closing(Boards(self.folder)) as boards:
                answer = respond(boards, self.path)
        except UserError as error:
            answer = 503, TEXT, STORED, f"{error}\n".encode()
        self._send(*answer, body)

    def _send(self, status: int, kind: str, policy: str, data: bytes, body: bool) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": kind, "Content-Security-Policy": policy, **HEADERS}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        if body:
            self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        if not self.quiet:
            super().log_message(format, *args)


def respond(boards: Boards, target: str) -> tuple[int, str, str, bytes]:
    """Status, content type, policy and body for a path; names are looked up, never joined to a path."""
    pages = Pages(boards)
    try:
        address = urlsplit(target)
        if stored := re.fullmatch(rf"/entry/({SHA256})/([\w.-]+)", address.path):
            kept = boards.kept(stored[1])
            kind = HTML if stored[2] == "report.html" else TEXT
            return 200, kind, STORED, boards.bundles.read(kept, stored[2])
        return 200, HTML, PAGE, _page(pages, address.path, parse_qs(address.query)).encode()
    except UserError as error:
        return 409, HTML, PAGE, pages.error(str(error)).encode()
    except (KeyError, ValueError):
        return 404, HTML, PAGE, pages.error("There is no such page.").encode()


def _page(pages: Pages, path: str, query: dict[str, list[str]]) -> str:
    """KeyError where there is none."""
    if path == "/":
        return pages.index()
    if path == "/reported":
        return pages.reported()
    if path == "/compare":
        chosen = query.get("entry", [])
        if len(chosen) != 2 or chosen[0] == chosen[1]:
            raise UserError(f"Choose two entries to compare, not {len(set(chosen))}.")
        return pages.compare(*chosen)
    found = re.fullmatch(r"/(board|entry)/([0-9a-f]{16,64})", path)
    if not found:
        raise KeyError(path)
    return pages.board(found[2]) if found[1] == "board" else pages.entry(found[2])


def known_host(host: str) -> bool:
    """Whether a request names this server by address or as localhost, and by no other name."""
    name = urlsplit(f"//{host}").hostname or ""
    try:
        return name == "localhost" or bool(ip_address(name))
    except ValueError:
        return False


def make_server(folder: Path, host: str, port: int, quiet: bool = False) -> ThreadingHTTPServer:
    """Raises UserError where the address cannot be had."""
    Boards(folder).close()
    try:
        return ThreadingHTTPServer((host, port), partial(Handler, folder, quiet))
    except (OSError, OverflowError) as error:
        raise UserError(f"{host}:{port}: cannot be listened on: {error}") from error
