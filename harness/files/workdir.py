"""Reserves a folder for the work of a command, so that only the same command can resume it.

the folder contains             reserve
nothing, or is new              writes the request into it
the request file alone          replaces it: the first command was perhaps a mistake, and did no work
the same request and work       returns it: the command resumes
another request and work        UserError, naming the fields that differ
work without a request file     UserError: the folder belongs to something else

Only one process at a time may use a folder (`using`), from before it reserves it: until the first work is
stored, the request of another process would replace its own.
"""

import platform
import re
import shutil
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from keyword import iskeyword
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import UserError
from harness.files import store
from harness.records import Json
from harness.text import printable, short

# Locked by the process that uses a folder, unless the folder has a log for this. An empty file is no work.
LOCK = ".lock"


@contextmanager
def using(folder: Path, file: str, kind: str, lock: str = LOCK) -> Iterator[None]:
    """Creates a folder, which no other process can use within the context. Raises UserError if one does.

    A new folder is removed if an error of the user occurs before it contains more than the request `file`.
    """
    is_new = not folder.exists()
    with store.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    _refuse_foreign(folder, file, kind)  # a folder of something else gets no lock
    with store.locked(folder / lock):
        try:
            yield
        except UserError:
            if is_new and store.is_empty(folder, ignore=file):
                shutil.rmtree(folder)
            raise


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
    _refuse_foreign(folder, file, kind)
    stored = store.read_json(path, dict[str, Any])
    compared = {name: value for name, value in requested.items() if name not in may_differ}
    refuse_other(folder, kind, stored, compared, flags)
    requested |= {name: stored.get(name) for name in may_differ if requested[name] is None}
    if stored != requested:
        store.write_json(path, requested)
    return requested


def _refuse_foreign(folder: Path, file: str, kind: str) -> None:
    """Raises UserError if the folder contains work, but no request."""
    if not (folder / file).exists() and not store.is_empty(folder):
        raise UserError(f"{folder}: expected a new or empty folder, or {kind} to resume")


def require_shared(folder: Path, file: str) -> None:
    """Raises UserError unless this machine has a file that the command's machine has in the folder."""
    if not (folder / file).exists():
        raise UserError(
            f"{folder}: not found on the machine {platform.node()}; use a folder that all machines share"
        )


def refuse_other(
    folder: Path, kind: str, stored: Json, requested: Json, flags: Mapping[str, str] = {}
) -> None:
    """Raises UserError with all requested fields whose stored value differs, named like their flags.

    `flags`: the flags that set fields of another name. Fields that an old version did not store may differ.
    """
    found = list(_differences((), stored, requested))
    if found:
        typed = dict.fromkeys(_flag(names, flags) for names, _, _ in found)
        conflicts = ", and ".join(_conflict(*difference) for difference in found)
        advice = "name another folder for a new one"
        raise UserError(f"{', '.join(typed)}: {folder} contains {kind} with {conflicts}; {advice}")


def _differences(
    names: tuple[str, ...], stored: Any, requested: Any
) -> Iterator[tuple[tuple[str, ...], Any, Any]]:
    """Where two JSON values differ, as names from the outside in, and the values."""
    if _is_records(stored) and _is_records(requested) and len(stored) == len(requested):
        stored, requested = ({str(i): value for i, value in enumerate(v)} for v in (stored, requested))
    if isinstance(stored, dict) and isinstance(requested, dict):
        for name in stored:
            if names or name in requested:
                yield from _differences((*names, name), stored[name], requested.get(name))
    elif stored != requested:
        yield names, stored, requested


def _is_records(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(item, dict) for item in value)


def _flag(names: tuple[str, ...], flags: Mapping[str, str]) -> str:
    """The flag that sets a field: that of its path, such as "recipe.name", or of its innermost known name."""
    return next((flags[name] for name in (".".join(names), *reversed(names)) if name in flags), names[-1])


def _conflict(names: tuple[str, ...], stored: Any, requested: Any) -> str:
    # In a sentence, nobody would read `for` as a name.
    what = f"--{names[-1]}" if iskeyword(names[-1]) else names[-1].replace("_", " ")
    if any(re.fullmatch("[0-9a-f]{64}", str(value)) for value in (stored, requested)):
        return f"another {what} ({_in_words(stored)}, now {_in_words(requested)})"
    return f"{what} {_in_words(stored)}, but {_in_words(requested)} was requested"


def _in_words(value: Any) -> str:
    if isinstance(value, bool) or value is None:
        return {True: "on", False: "off", None: "none"}[value]
    if re.fullmatch("[0-9a-f]{64}", str(value)):
        return str(value)[:12]
    return ",".join(map(str, value)) if isinstance(value, list) else short(printable(repr(value)), 60)
