"""The data of the scenarios, read from the TOML files in this folder and its subfolders.

They contain word lists, price ranges, styles, facts and the phrasings of queries. Random choices select by
position, so changing the order of entries changes the dialogs.
"""

import functools
import tomllib
from collections.abc import Mapping
from importlib import resources
from random import Random
from typing import Any, TypeVar

import msgspec

T = TypeVar("T")


@functools.cache
def _read(file: str) -> dict[str, Any]:
    return tomllib.loads((resources.files(__package__) / file).read_text(encoding="utf-8"))


def load(file: str, key: str, kind: type[T]) -> T:
    """The value of a top-level key of a file, converted to a type by msgspec, which also validates it."""
    return msgspec.convert(_read(file)[key], kind)


def load_filled(file: str, key: str, kind: type[T], values: Mapping[str, object]) -> T:
    """Like `load`, but replaces the {fields} in all strings, at any depth, by the given values."""

    def filled(template: Any) -> Any:
        if isinstance(template, dict):
            return {name: filled(value) for name, value in template.items()}
        if isinstance(template, list):
            return [filled(value) for value in template]
        return template.format(**values)

    return msgspec.convert(filled(_read(file)[key]), kind)


def phrase(rng: Random, name: str, /, **values: object) -> str:
    """A random phrasing of a query from queries.toml, with the values filled in."""
    return str(rng.choice(_read("queries.toml")["phrases"][name]).format(**values))


def calculation(rng: Random, name: str, /, **values: object) -> list[str]:
    """A random query from queries.toml and the expression that answers it, with the values filled in."""
    return [text.format(**values) for text in rng.choice(_read("queries.toml")["calculations"][name])]
