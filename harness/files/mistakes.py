"""What is wrong with data that is not of the expected type, in words instead of those of the parser."""

import re
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
    if isinstance(error, UnicodeDecodeError):
        return f"expected text in UTF-8, got the byte 0x{error.object[error.start]:02x}"
    if isinstance(error, RecursionError):
        return f"expected {expected}, got one that is nested too deeply"
    message, _, path = str(error).partition(" - at `")
    if not isinstance(error, msgspec.ValidationError):
        position = re.search(r"\(byte (\d+)\)", message)
        got = f"something else at byte {position[1]}" if position else "an incomplete or empty one"
        return f"expected {expected}, got {got}"
    field = path.rstrip("`").removeprefix("$").removeprefix(".")
    if missing := re.search("missing required field `(.+)`", message):
        message = f"expected the field {missing[1]}, which is missing"
    elif enum := re.fullmatch("Invalid enum value (.+)", message):
        message = f"expected {_allowed(type_, field)}, got {enum[1]}"
    else:
        message = re.sub("`([^`]+)`", _in_words, message)
        message = message[0].lower() + message[1:]
    if field:
        return f"{field}: {message}"
    return re.sub("^expected an object", f"expected {expected}", message)


def _in_words(quoted: re.Match[str]) -> str:
    return " or ".join(_WORDS.get(name, name) for name in quoted[1].split(" | "))


def _allowed(type_: Any, field: str) -> str:
    """The values that a field of a record can have."""
    hints = get_type_hints(type_) if isinstance(type_, type) else {}
    return enumeration([*map(str, _literals(hints.get(field)))] or ["another value"], "or")


def _literals(hint: Any) -> tuple[Any, ...]:
    if get_origin(hint) is Literal:
        return get_args(hint)
    return tuple(value for option in get_args(hint) for value in _literals(option))
