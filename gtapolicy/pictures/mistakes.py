"""How mistakes in scenarios and in templates are worded."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from typing import NoReturn, TypeVar

from harness.errors import UserError
from harness.text import printable, short

T = TypeVar("T")


class CannotShow(UserError):
    """A picture cannot show a text as OCR would read it, or a value, whose key is perhaps known."""

    def __init__(self, message: str, text: object = None, key: str = "") -> None:
        super().__init__(message)
        self.text, self.key = text, key


def refuse(text: object, expected: str = "a shorter text", key: str = "") -> NoReturn:
    raise CannotShow(f"expected {expected}, got {short(repr(text), 80)}", text, key)


class Named(dict[str, T]):
    """Values by name. Raises UserError with all names if there is no such value."""

    def __missing__(self, name: object) -> T:
        raise UserError(f"expected one of {', '.join(map(str, self))}; got {name!r}{nearest(name, self)}")


def nearest(name: object, known: Iterable[str]) -> str:
    """What to do about an unknown name: a question with the most similar one, or "" if none is similar."""
    similar = get_close_matches(str(name), known, 1, 0.75)
    return f"; did you mean {similar[0]}?" if similar else ""


# What Python says of a call with wrong arguments, and how it is said here.
OF_CALLS = {
    r"(\w+)\(\) takes .*positional arguments? but .*": r"too many values in \1(...)",
    r"(\w+)\(\) missing .* arguments?: (.+)": r"\1(...) needs also \2",
    r"(\w+)\(\) got an unexpected keyword argument (.+)": r"\1(...) has no \2",
}


def in_words(error: Exception) -> str:
    """What an exception of Python says, without the names of classes."""
    text = re.sub(r"[\w.<>]+\.(?=\w+\(\))", "", printable(str(error)))
    for pattern, words in OF_CALLS.items():
        text = re.sub(pattern, words, text)
    return f"there is no {text}" if isinstance(error, KeyError) else text
