"""Fields of TRL's configuration that a recipe sets by their own names, in a table `trl` of a stage."""

from collections.abc import Iterable, Mapping
from dataclasses import fields as fields_of
from difflib import get_close_matches
from typing import Any, get_type_hints

import msgspec

from harness.errors import UserError


def checked(
    fields: Mapping[str, Any], config_class: type, managed: Iterable[str], where: str
) -> dict[str, Any]:
    """The table `fields`, if each name is a field of TRL's dataclass `config_class` with a value of its type.

    `managed` are the fields that follow from other settings of the recipe, or that would have no effect.
    Raises UserError for the first wrong field; `where` is the key of the table, such as "rl.trl".
    """
    types = get_type_hints(config_class)
    known = [field.name for field in fields_of(config_class) if field.init]
    managed = set(managed)
    for name, value in fields.items():
        if name not in known:
            similar = ", ".join(get_close_matches(name, known)) or "a name from TRL's documentation"
            raise UserError(
                f"{where}.{name}: expected a field of the installed TRL's {config_class.__name__}, got an "
                f"unknown name; use {similar}"
            )
        if name in managed:
            raise UserError(
                f"{where}.{name}: expected a field that the trainer leaves to you, got one that follows from "
                "the recipe's other settings or has no effect here; remove it"
            )
        try:
            msgspec.convert(value, types[name])
        except msgspec.ValidationError as error:
            raise UserError(f"{where}.{name}: {error}; correct its value") from error
        except TypeError:
            # msgspec has no union of an enum and str; transformers itself checks the values of these fields.
            continue
    return dict(fields)
