"""Reserves a folder for the work of a command, so that only the same command can resume it.

the folder contains             reserve
nothing, or is new              writes the request into it
the request file alone          replaces it: the first command was perhaps a mistake, and did no work
the same request and work       returns it: the command resumes
another request and work        UserError, naming the first field that differs
work without a request file     UserError: the folder belongs to something else
"""

import re
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import UserError
from harness.files import store


def reserve(
    folder: Path,
    file: str,
    request: Any,
    kind: str,
    may_differ: Collection[str] = (),
    flags: Mapping[str, str] = {},
) -> dict[str, Any]:
    """Writes the request as JSON to folder/file, or checks that the folder contains the same request.

    `kind` names the work in errors, such as "a run", and `flags` the flag that sets a field of another name,
    or of a path of names such as sampling.seed. A field in `may_differ` may have another value than the file:
    the file is updated, unless the new value is None. So may a field that the file lacks, because an earlier
    version wrote it. Returns the request as stored in the file.
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
    for name in [name for name in requested if name in stored and name not in may_differ]:
        if difference := _difference((name,), stored[name], requested[name]):
            names, conflict = difference
            known = (flags[n] for n in (".".join(names), *reversed(names)) if n in flags)
            flag = next(known, names[-1])
            raise UserError(f"{flag}: {folder} contains {kind} {conflict}; name another folder for a new one")
    requested |= {name: stored.get(name) for name in may_differ if requested[name] is None}
    if stored != requested:
        store.write_json(path, requested)
    return requested


def _difference(names: tuple[str, ...], stored: Any, requested: Any) -> tuple[tuple[str, ...], str] | None:
    """The first place in which two JSON values differ, as names from the outside in, and how they differ."""
    if isinstance(stored, list) and isinstance(requested, list) and len(stored) == len(requested):
        stored, requested = ({str(i): value for i, value in enumerate(v)} for v in (stored, requested))
    if isinstance(stored, dict) and isinstance(requested, dict):
        inner = (_difference((*names, key), value, requested.get(key)) for key, value in stored.items())
        return next(filter(None, inner), None)
    if stored == requested:
        return None
    what = names[-1].replace("_", " ")
    before, now = ("none" if value is None else repr(value) for value in (stored, requested))
    if any(re.fullmatch("'[0-9a-f]{64}'", value) for value in (before, now)):
        before, now = (value.strip("'")[:12] for value in (before, now))
        return names, f"that differs in its {what} ({before}, now {now})"
    return names, f"with {what} {before}, but {now} was requested"
