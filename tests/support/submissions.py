"""Edits files of a submitted run, and serves boards."""

import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from leaderboards.pages.serve import make_server

Json = dict[str, Any]


def edit(path: Path, change: Callable[[Json], Any]) -> None:
    """Changes a JSON object in a file."""
    data = json.loads(path.read_text())
    change(data)
    path.write_text(json.dumps(data))


def edit_lines(path: Path, change: Callable[[list[Json]], Any]) -> None:
    """Changes the list of JSON objects in a file with one object per line."""
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    change(lines)
    path.write_text("".join(json.dumps(line) + "\n" for line in lines))


@contextmanager
def serving(folder: Path) -> Iterator[int]:
    """The port of a server of these boards."""
    server = make_server(folder, "127.0.0.1", 0, quiet=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()
