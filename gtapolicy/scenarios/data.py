"""The data of the scenarios, read from the TOML files in this folder and its subfolders.

They contain word lists, price ranges, styles, facts and the phrasings of queries. Their order matters: random
choices are made by position, so another order gives other dialogs.
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
    """The value of a key at the top level of a file, checked and converted to a type by msgspec."""
    return msgspec.convert(_read(file)[key], kind)


def load_filled(file: str, key: str, kind: type[T], values: Mapping[str, object]) -> T:
    """The same, with values in place of the {fields} of all its strings, at any depth."""

    def filled(template: Any) -> Any:
        if isinstance(template, dict):
            return {name: filled(value) for name, value in template.items()}
        if isinstance(template, list):
            return [filled(value) for value in template]
        return template.format(**values)

    return msgspec.convert(filled(_read(file)[key]), kind)


def phrase(rng: Random, name: str, /, **values: object) -> str:
    """One of a query's phrasings in queries.toml, with the values filled in."""
    return str(rng.choice(_read("queries.toml")["phrases"][name]).format(**values))


def calculation(rng: Random, name: str, /, **values: object) -> list[str]:
    """A query from queries.toml and the expression that answers it, with the values filled in."""
    return [text.format(**values) for text in rng.choice(_read("queries.toml")["calculations"][name])]
