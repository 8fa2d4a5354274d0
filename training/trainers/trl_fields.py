"""Fields of TRL's configuration that a recipe sets by their own names, in a table `trl` of a stage."""

import re
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import Field
from dataclasses import fields as fields_of
from difflib import get_close_matches
from typing import Any, get_type_hints

import msgspec

from harness.errors import UserError
from harness.text import reason

# Fields of every trainer that a recipe may not set, because it could not resume, log or score any more.
OF_ALL_TRAINERS = (
    *("logging_strategy", "eval_strategy", "eval_on_start", "load_best_model_at_end"),
    *("resume_from_checkpoint", "auto_find_batch_size", "save_only_model", "model_init_kwargs"),
)
# What TRL and transformers raise for a value that they cannot use. Files and the GPU have other errors.
REFUSALS = (ValueError, TypeError, AttributeError, ImportError)


def make_config(
    config_class: Any,
    arguments: Mapping[str, Any],
    fields: Mapping[str, Any],
    managed: Iterable[str],
    where: str,
) -> Any:
    """TRL's dataclass `config_class` with `arguments` and the table `fields`, which wins.

    `managed` are the fields that follow from other settings of the recipe, or that would have no effect.
    Raises UserError for the first wrong field; `where` is the key of the table, such as "rl.trl".
    """
    _check(fields, config_class, {*managed, *OF_ALL_TRAINERS}, where)
    try:
        return config_class(**{**arguments, **fields})
    except REFUSALS as error:
        if not fields:
            raise
        raise _refusal(error, _mentioned(error, fields) or fields, where) from error


@contextmanager
def named_refusals(fields: Mapping[str, Any], where: str) -> Iterator[None]:
    """Within the context, turns an error about one of these fields into a UserError that names it.

    TRL and transformers check some values only when they use them: all errors with the name or the value of a
    field are taken to be about it.
    """
    try:
        yield
    except REFUSALS as error:
        if not (mentioned := _mentioned(error, fields)):
            raise
        raise _refusal(error, mentioned, where) from error


def _check(fields: Mapping[str, Any], config_class: Any, managed: set[str], where: str) -> None:
    types = get_type_hints(config_class)
    known = {field.name: field for field in fields_of(config_class) if field.init}
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
        described = _described_values(known[name]) - known.keys()
        if types[name] is str and described and value not in described:
            raise UserError(
                f"{where}.{name}: expected one of {', '.join(sorted(described))}, according to TRL's "
                f"description of this field, got {value!r}; correct its value"
            )


def _described_values(field: Field[Any]) -> set[str]:
    """The values of a field of text that has a fixed set of them. Empty if it takes any text.

    TRL checks most of them only in the first update, after hours of the stages before. Its description of
    such a field quotes them all, and so its default.
    """
    quoted = set(re.findall(r"[`'](\w+)[`']", field.metadata.get("help", "")))
    return quoted if field.default in quoted else set()


def _mentioned(error: Exception, fields: Mapping[str, Any]) -> dict[str, Any]:
    """The fields whose name an error contains, or else those whose value it contains."""
    words = set(re.findall(r"[\w.-]+", str(error)))
    by_name = {name: value for name, value in fields.items() if name in words}
    return by_name or {
        name: value
        for name, value in fields.items()
        if words.intersection(re.findall(r"[\w.-]+", str(value)))
    }


def _refusal(error: Exception, fields: Mapping[str, Any], where: str) -> UserError:
    names = ", ".join(f"{where}.{name}" for name in fields)
    values = ", ".join(repr(value) for value in fields.values())
    return UserError(f"{names}: TRL does not take {values}: {reason(error)}; correct or remove it")
