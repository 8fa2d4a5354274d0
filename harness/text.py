"""Names and texts from other people's data, made safe to print."""

from harness.errors import UserError

MOST_OF_REASON = 200


def printable(text: str) -> str:
    """The text without characters that control a terminal or break a line."""
    # isprintable() is also false for the narrow space that separates thousands.
    return "".join(c if c.isprintable() or c == "\u202f" else "\N{REPLACEMENT CHARACTER}" for c in text)


def reason(error: Exception) -> str:
    """An exception as one line that is safe to print, such as "KeyError: 'tool'"."""
    kind = "" if isinstance(error, UserError) else f"{type(error).__name__}: "
    return short(printable(f"{kind}{error}"), MOST_OF_REASON)


def short(name: str, most: int = 28) -> str:
    """The beginning of a long name, for the axes of plots; the table below a plot has all of it."""
    return name if len(name) <= most else f"{name[: most - 1]}…"
