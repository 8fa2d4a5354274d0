"""Names and texts from other people's data, made safe to print and to compare; and lists in words."""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from itertools import groupby, islice
from typing import Any

from harness.errors import UserError

# Quotes and a full stop that NFKC keeps, and their plain forms.
_PLAIN = str.maketrans(dict.fromkeys("‘’‚‛′", "'") | dict.fromkeys("“”„‟", '"') | {"。": "."})
# The most combining marks after a letter (Unicode's stream-safe text format). Normalizing more takes
# quadratic time.
_MAX_MARKS = 30
MOST_OF_REASON = 200


def matches(beginning: re.Pattern[str], pattern: re.Pattern[str], text: str) -> Iterator[re.Match[str]]:
    """The matches of a pattern, each of which starts where `beginning` matches.

    Faster than `pattern.finditer(text)` if `beginning` starts with a set of characters: then `re` skips all
    others at once.
    """
    end = 0
    for start in beginning.finditer(text):
        if start.start() >= end and (match := pattern.match(text, start.start())):
            end = match.end()
            yield match


def printable(text: str) -> str:
    """The text without characters that control a terminal or break a line."""
    if text.isprintable():
        return text
    # isprintable() is also false for the narrow space that separates thousands.
    return "".join(c if c.isprintable() or c == "\u202f" else "\N{REPLACEMENT CHARACTER}" for c in text)


def reason(error: Exception) -> str:
    """An exception as one line that is safe to print, such as "KeyError: 'tool'"."""
    kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
    return short(printable(f"{kind}{error}"), MOST_OF_REASON)


def short(name: str, most: int = 28) -> str:
    """The beginning of a long name, for the axes of plots; the table below a plot has all of it."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def normalized(text: str) -> str:
    """The same text for all ways to encode it: NFKC, plain quotes, no invisible or broken characters."""
    if text.isascii():
        return text
    runs = groupby(text, key=lambda c: unicodedata.combining(c) > 0)
    bounded = "".join("".join(islice(run, _MAX_MARKS) if marks else run) for marks, run in runs)
    composed = unicodedata.normalize("NFKC", bounded).translate(_PLAIN)
    return "".join(c for c in composed if unicodedata.category(c) not in ("Cf", "Cs"))


def texts(value: Any) -> list[str]:
    """The value if it is a list of texts; otherwise empty, as other people's data may be anything."""
    return value if isinstance(value, list) and all(isinstance(one, str) for one in value) else []


def enumeration(names: Sequence[str], conjunction: str = "and") -> str:
    """Such as "A, B and C"."""
    *others, last = names
    return f"{', '.join(others)} {conjunction} {last}" if others else last
