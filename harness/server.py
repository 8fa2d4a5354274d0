"""A read-only HTTP server for pages that are computed on this machine: only GET and HEAD.

It answers only requests that name it by an IP address or as localhost.
"""

import sys
from collections.abc import Callable
from functools import partial
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address
from threading import Lock
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from harness.errors import UserError
from harness.text import reason

HTML = "text/html; charset=utf-8"
TEXT = "text/plain; charset=utf-8"
HEADERS = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cache-Control": "no-cache",
}
RESOURCES = "default-src 'none'; style-src 'unsafe-inline'; script-src 'unsafe-inline'; img-src data:"
# For pages rendered here. A meta element in each page allows only the script with the expected hash.
PAGE_POLICY = f"frame-ancestors 'none'; base-uri 'none'; form-action 'self'; {RESOURCES}"
# For what is not trusted: a sandbox without access to other pages.
SANDBOX_POLICY = f"sandbox allow-scripts; frame-ancestors 'none'; {RESOURCES}"


class Answer(NamedTuple):
    """An HTTP response."""

    status: int
    content_type: str
    security_policy: str
    body: bytes


# Answers the request for a path with its query.
Respond = Callable[[str], Answer]


class Handler(BaseHTTPRequestHandler):
    sys_version = ""
    timeout = 30

    def __init__(self, respond: Respond, name: str, quiet: bool, *arguments: object) -> None:
        self.respond, self.server_version, self.quiet = respond, name, quiet
        super().__init__(*arguments)  # type: ignore[arg-type]

    def do_GET(self) -> None:
        self._send(self._answer())

    def do_HEAD(self) -> None:
        self._send(self._answer(), body=False)

    def _answer(self) -> Answer:
        try:
            if not _is_own_host(self.headers.get("Host", "")):
                # Prevents DNS rebinding: a page whose domain resolves to this machine could read the pages.
                return _refusal(421, "open this server by its address or as localhost")
        except ValueError as error:
            return _refusal(400, f"expected a host and a port in the header Host: {error}")
        try:
            return self.respond(self.path)
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


def page_answer(status: int, page: str) -> Answer:
    return Answer(status, HTML, PAGE_POLICY, page.encode(errors="replace"))


def _refusal(status: int, message: str) -> Answer:
    return Answer(status, TEXT, SANDBOX_POLICY, f"{message}\n".encode(errors="replace"))


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


def make_server(respond: Respond, name: str, host: str, port: int, quiet: bool = False) -> Server:
    """A server that computes one page at a time. Raises UserError if the address is unavailable."""
    if not 0 <= port < 2**16:
        raise UserError(f"port: expected 0 to {2**16 - 1}, got {port}")
    one_page = Lock()

    def respond_alone(target: str) -> Answer:
        with one_page:
            return respond(target)

    try:
        return Server((host, port), partial(Handler, respond_alone, name, quiet))
    except OSError as error:
        problem = f"{host}:{port}: cannot listen on this address: {error.strerror}"
        raise UserError(f"{problem}; choose another port") from error
