"""A model server on the loopback interface, with an API's wire format and any failure that a test needs."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

# Must never occur in a file, a log or a message.
KEY = "sk-secret-5b1c7e"


@dataclass(frozen=True)
class Reply:
    body: Any
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    # Send half of the body, then close the connection.
    cut: bool = False
    # Seconds before each byte of the body.
    pause: float = 0


@dataclass
class Request:
    method: str
    path: str
    headers: dict[str, str]
    body: Any

    @property
    def content(self) -> list[dict[str, Any]]:
        """The blocks of the request's one user message."""
        blocks: list[dict[str, Any]] = self.body["messages"][0]["content"]
        return blocks


class Server(ThreadingHTTPServer):
    """Answers each request with `answer`. Records all requests and how many were in flight together."""

    # Connections are refused if this is less than the concurrency.
    request_queue_size = 128
    daemon_threads = True

    def __init__(self, answer: Callable[[Request], Reply]) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.answer, self.lock = answer, threading.Lock()
        self.requests: list[Request] = []
        self.in_flight = self.max_in_flight = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Prints nothing: tests kill clients on purpose."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Server

    def do_GET(self) -> None:
        self.respond(None)

    def do_POST(self) -> None:
        self.respond(json.loads(self.rfile.read(int(self.headers["content-length"]))))

    def respond(self, body: Any) -> None:
        server, request = self.server, Request(self.command, self.path, dict(self.headers.items()), body)
        with server.lock:
            server.requests.append(request)
            server.in_flight += 1
            server.max_in_flight = max(server.max_in_flight, server.in_flight)
        try:
            self.send(server.answer(request))
        finally:
            with server.lock:
                server.in_flight -= 1

    def send(self, reply: Reply) -> None:
        text = reply.body if isinstance(reply.body, str) else json.dumps(reply.body)
        data = text.encode()
        self.send_response(reply.status)
        kind = "application/x-jsonl" if isinstance(reply.body, str) else "application/json"
        self.send_header("content-type", kind)
        self.send_header("content-length", str(len(data)))
        for name, value in reply.headers.items():
            self.send_header(name, value)
        self.end_headers()
        for byte in data if reply.pause else b"":
            time.sleep(reply.pause)
            self.wfile.write(bytes([byte]))
        if not reply.pause:
            self.wfile.write(data[: len(data) // 2] if reply.cut else data)
        self.close_connection = self.close_connection or reply.cut

    def log_message(self, format: str, *args: Any) -> None:
        """Prints nothing."""


@contextmanager
def serving(answer: Callable[[Request], Reply]) -> Iterator[Server]:
    """A server that runs within the context."""
    server = Server(answer)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def completion(text: str | None, **fields: Any) -> Reply:
    """An answer of OpenAI's chat completions API; `fields` replace fields of the choice."""
    message = {"role": "assistant", "content": text} | fields.pop("message", {})
    details = {"cached_tokens": 60}
    return Reply(
        {
            "id": "c1",
            "object": "chat.completion",
            "created": 1,
            "model": "served",
            "choices": [{"index": 0, "message": message, "finish_reason": "stop"} | fields],
            "usage": {
                "prompt_tokens": 100,
                "completion_tokens": 7,
                "total_tokens": 107,
                "prompt_tokens_details": details,
            },
        }
    )


def message(text: str, stop_reason: str = "end_turn", content: list[Any] | None = None) -> dict[str, Any]:
    """A message of Anthropic's API."""
    return {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "served",
        "content": [{"type": "text", "text": text}] if content is None else content,
        "stop_reason": stop_reason,
        "stop_sequence": None,
        "usage": {
            "input_tokens": 30,
            "cache_creation_input_tokens": 10,
            "cache_read_input_tokens": 60,
            "output_tokens": 7,
        },
    }
