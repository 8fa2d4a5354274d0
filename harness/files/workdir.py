"""Reserves a folder for the work of a command, so that only the same command can resume it.

the folder contains             reserve
nothing, or is new              writes the request into it
the request file alone          replaces it: the first command was perhaps a mistake, and did no work
the same request and work       returns it: the command resumes
another request and work        UserError, naming the first field that differs
work without a request file     UserError: the folder belongs to something else
"""

from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import UserError
from harness.files import store


def reserve(
    folder: Path, file: str, request: Any, kind: str, may_differ: Collection[str] = ()
) -> dict[str, Any]:
    """Writes the request as JSON to folder/file, or checks that the folder contains the same request.

    `kind` names the work in errors, such as "a run". A field in `may_differ` may have another value than the
    file: the file is updated, unless the new value is None. Returns the request as stored in the file.
    """
    requested: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(request, enc_hook=str))
    path = folder / file
    with store.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if store.is_empty(folder, ignore=file):
        store.write_json(path, requested)
        return requested
    if not path.exists():
        raise UserError(f"{folder}: expected a new or empty folder, or {kind} to resume")
    stored = store.read_json(path, dict[str, Any])
    for name in requested:
        if name not in may_differ and (difference := _difference(name, stored.get(name), requested[name])):
            raise UserError(f"{folder}: contains {kind} with {difference}; name another folder for a new one")
    requested |= {name: stored.get(name) for name in may_differ if requested[name] is None}
    if stored != requested:
        store.write_json(path, requested)
    return requested


def _difference(name: str, stored: Any, requested: Any) -> str | None:
    """The first place in which two JSON values differ, and how; None if they are equal."""
    if isinstance(stored, dict) and isinstance(requested, dict):
        keys = [*requested, *(stored.keys() - requested.keys())]
        inner = (_difference(f"{name}.{key}", stored.get(key), requested.get(key)) for key in keys)
        return next(filter(None, inner), None)
    return None if stored == requested else f"{name} {stored!r}, but {requested!r} was requested"
