"""Serves the pages of a benchmark to this machine only, read-only."""

from urllib.parse import parse_qs, urlsplit

from harness import server
from harness.browse.page import Navigation, address, render
from harness.browse.selection import Filter, Source, select
from harness.server import TEXT, Answer, Server, page_answer

HOST = "127.0.0.1"


def respond(source: Source, target: str) -> Answer:
    """Answers a request. The only path is "/", so that no address can name a file."""
    parts = urlsplit(target)
    if parts.path != "/":
        return _missing("There is no such page.")
    # The outcomes are one for each run, so that an empty one counts.
    lists = parse_qs(parts.query, keep_blank_values=True)
    query = {name: values[-1] for name, values in lists.items()}
    split = query.get("split") or next(iter(source.splits))
    if split not in source.splits:
        return _missing(f"There is no such split. The splits are: {', '.join(source.splits)}.")
    fields = {name: query.get(name, "") for name in ("policy", "leaf", "variant", "text")}
    wanted = Filter(**fields, outcome=lists.get("outcome", ()))
    backward = "before" in query
    selected = select(source, split, wanted, _position(query.get("before", query.get("from", ""))), backward)
    navigation = Navigation(
        split,
        wanted,
        selected.start,
        selected.end,
        selected.total,
        address(split, wanted, before=selected.start) if selected.start > 0 else "",
        address(split, wanted, **{"from": selected.end}) if selected.end < selected.total else "",
    )
    return page_answer(200, render(source, selected.found, navigation).html)


def _missing(message: str) -> Answer:
    return Answer(404, TEXT, server.SANDBOX_POLICY, f"{message}\n".encode())


def _position(text: str) -> int:
    # Python refuses to convert thousands of digits.
    return int(text) if text.isascii() and text.isdigit() and len(text) <= 18 else 0


def make_server(source: Source, port: int, quiet: bool = False) -> Server:
    """A server of the pages. Raises UserError if the port is unavailable."""
    return server.make_server(lambda target: respond(source, target), "harness", HOST, port, quiet)
