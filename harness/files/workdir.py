"""A folder of work belongs to what was asked for first: the same words go on with it, others are refused."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import UserError
from harness.files import store


def reserve(folder: Path, file: str, asked: Any, what: str, but: Collection[str] = ()) -> dict[str, Any]:
    """Writes down what is asked for in a new folder, or finds that just this was asked for before.

    `what` names the work, such as "a run". The fields in `but` may differ: they are written down anew where
    they are told. A folder in which no work was done is claimed again. Returns what is written down;
    UserError where the folder holds something else.
    """
    told: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(asked, enc_hook=str))
    path = folder / file
    with store.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if store.is_empty(folder, but=file):
        store.write_json(path, told)
        return told
    if not path.exists():
        raise UserError(f"{folder}: expected a new or empty folder, or {what} to go on with")
    begun = store.read_json(path, dict[str, Any])
    for name in [name for name in told if name not in but]:
        if found := _difference(name, begun.get(name), told[name]):
            raise UserError(f"{folder}: holds {what} with {found}; name another folder for a new one")
    told |= {name: begun.get(name) for name in but if told[name] is None}
    if begun != told:
        store.write_json(path, told)
    return told


def _difference(name: str, begun: Any, asked: Any) -> str | None:
    """The first place in which two JSON values differ, and how."""
    if isinstance(begun, dict) and isinstance(asked, dict):
        keys = [*asked, *(begun.keys() - asked.keys())]
        inner = (_difference(f"{name}.{key}", begun.get(key), asked.get(key)) for key in keys)
        return next(filter(None, inner), None)
    return None if begun == asked else f"{name} {begun!r}, asked was {asked!r}"
