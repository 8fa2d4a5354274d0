"""The tables `trl` of a recipe: arguments of TRL that have no setting of their own."""

from collections.abc import Iterable, Mapping
from dataclasses import fields as dataclass_fields
from difflib import get_close_matches
from typing import Any

from harness.errors import UserError


def checked(
    fields: Mapping[str, Any], config_class: type, managed: Iterable[str], where: str
) -> dict[str, Any]:
    """The arguments of `config_class`, such as GRPOConfig, that a recipe gives in the table `where`.

    Raises UserError if the installed TRL has no such argument, or if it is one of `managed`, the arguments
    that the trainer sets itself.
    """
    known = [field.name for field in dataclass_fields(config_class) if field.init]
    managed = set(managed)
    for name in fields:
        if name not in known:
            similar = " or ".join(get_close_matches(name, known, n=2)) or "a name in its documentation"
            raise UserError(
                f"{where}.{name}: expected an argument of TRL's {config_class.__name__}, got an unknown one; "
                f"use {similar}"
            )
        if name in managed:
            table = where.removesuffix(".trl")
            raise UserError(
                f"{where}.{name}: expected an argument that the trainer does not set itself, got one that "
                f"follows from the other settings; remove it and change the keys of {table} or of the recipe"
            )
    return dict(fields)
