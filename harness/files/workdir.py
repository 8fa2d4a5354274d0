"""Reserves a folder for the work of a command, so that only the same command can resume it.

the folder contains             reserve
nothing, or is new              writes the request into it
the request file alone          replaces it: the first command was perhaps a mistake, and did no work
the same request and work       returns it: the command resumes
another request and work        UserError, naming the fields that differ
work without a request file     UserError: the folder belongs to something else
"""

from collections.abc import Collection, Iterator
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import UserError
from harness.files import store
from harness.records import Json
from harness.text import printable, short


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
    refuse_other(folder, kind, stored, {k: v for k, v in requested.items() if k not in may_differ})
    requested |= {name: stored.get(name) for name in may_differ if requested[name] is None}
    if stored != requested:
        store.write_json(path, requested)
    return requested


def refuse_other(folder: Path, kind: str, stored: Json, requested: Json) -> None:
    """Raises UserError with all requested fields whose stored value differs, named like their flags."""
    differences = list(_differences(stored, requested))
    if differences:
        flags = ", ".join(dict.fromkeys(flag for flag, _, _ in differences))
        each = (
            f"{flag} {_in_words(old)}, but {_in_words(new)} was requested" for flag, old, new in differences
        )
        raise UserError(
            f"{flags}: {folder} contains {kind} with {', and '.join(each)}; name another folder for a new one"
        )


def _differences(stored: Json, requested: Json, parent: str = "") -> Iterator[tuple[str, Any, Any]]:
    """The flag, the stored and the requested value of each difference. "recipe.name" is the flag "recipe"."""
    for name, value in requested.items():
        other = stored.get(name)
        if isinstance(value, dict) and isinstance(other, dict):
            absent = dict.fromkeys(other.keys() - value.keys())
            yield from _differences(other, {**value, **absent}, name)
        elif value != other:
            yield (parent if name == "name" else name), other, value


def _in_words(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "on", False: "off", None: "none"}[value]
    return ",".join(map(str, value)) if isinstance(value, list) else short(printable(repr(value)), 60)
