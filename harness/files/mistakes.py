"""What is wrong with data that is not of the expected type, in words instead of those of the parser."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import is_dataclass
from typing import Any, Literal, get_args, get_origin, get_type_hints

import msgspec

from harness.text import enumeration

_WORDS = {
    "object": "an object", "array": "a list", "str": "a text", "int": "a whole number", "float": "a number",
    "bool": "true or false",
}  # fmt: skip


def mistake(error: Exception, type_: Any, expected: str = "a JSON object") -> str:
    """What an error of `msgspec` about this type means, such as "target: expected a text, got a list".

    `expected` names what the whole data should be.
    """
    field, message = located(error, type_, expected)
    return f"{field}: {message}" if field else message


def located(error: Exception, type_: Any, expected: str) -> tuple[str, str]:
    """The field that is wrong, such as `question[0].ask`, and why. The field is "" for the whole data."""
    if isinstance(error, UnicodeDecodeError):
        return "", f"expected text in UTF-8, got the byte 0x{error.object[error.start]:02x}"
    if isinstance(error, RecursionError):
        return "", f"expected {expected}, got one that is nested too deeply"
    message, _, path = str(error).partition(" - at `")
    if not isinstance(error, msgspec.ValidationError):
        position = re.search(r"\(byte (\d+)\)", message)
        got = f"something else at byte {position[1]}" if position else "an incomplete or empty one"
        return "", f"expected {expected}, got {got}"
    field = path.rstrip("`").removeprefix("$").removeprefix(".")
    if missing := re.search("missing required field `(.+)`", message):
        return field, f"expected the field {missing[1]}, which is missing"
    if unknown := re.search("unknown field `(.+)`", message):
        known = ", ".join(name for name, _ in _fields(type_, field))
        return f"{field}.{unknown[1]}".lstrip("."), f"unknown field; the known fields are {known}"
    if enum := re.fullmatch("Invalid enum value (.+)", message):
        return field, f"expected {_allowed(type_, field)}, got {enum[1]}"
    message = re.sub("`([^`]+)`", _in_words, message)
    message = re.sub("of length >= 1", "that is not empty", message)
    message = re.sub(" >= (.+)", r" of at least \1", re.sub(" <= (.+)", r" of at most \1", message))
    message = message[0].lower() + message[1:]
    if "TOML" in expected:
        message = message.replace("an object", "a table")
    return field, message if field else re.sub(
        "^expected (an object|a table)", f"expected {expected}", message
    )


def _in_words(quoted: re.Match[str]) -> str:
    return enumeration([_WORDS.get(name, name) for name in quoted[1].split(" | ")], "or")


def _fields(type_: Any, path: str) -> list[tuple[str, Any]]:
    """The name and the type of each field of the record at a path such as `question[0]`."""
    fields = [field for record in _records(type_) for field in _own_fields(record)]
    first, _, rest = re.sub(r"\[[^]]*\]", "", path).strip(".").partition(".")
    return _fields(dict(fields)[first], rest) if first else fields


def _records(hint: Any) -> Iterator[type]:
    """The records that a type consists of, such as Tip in tuple[Tip, ...]."""
    if isinstance(hint, type) and (is_dataclass(hint) or issubclass(hint, msgspec.Struct)):
        yield hint
    for option in get_args(hint):
        yield from _records(option)


def _own_fields(record: type) -> Iterable[tuple[str, Any]]:
    if issubclass(record, msgspec.Struct):
        return [(field.encode_name, field.type) for field in msgspec.structs.fields(record)]
    return get_type_hints(record).items()


def _allowed(type_: Any, field: str) -> str:
    """The values that a field of a record can have."""
    record, _, name = field.rpartition(".")
    hint = dict(_fields(type_, record)).get(name)
    return enumeration([*map(str, _literals(hint))] or ["another value"], "or")


def _literals(hint: Any) -> tuple[Any, ...]:
    if get_origin(hint) is Literal:
        return get_args(hint)
    return tuple(value for option in get_args(hint) for value in _literals(option))
