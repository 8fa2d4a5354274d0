"""Names and texts from other people's data, made safe to print."""


def printable(text: str) -> str:
    """The text without characters that control a terminal or break a line."""
    # isprintable() is also false for the narrow space that separates thousands.
    return "".join(c if c.isprintable() or c == "\u202f" else "\N{REPLACEMENT CHARACTER}" for c in text)


def short(name: str, most: int = 28) -> str:
    """The beginning of a long name, for the axes of plots; the table below a plot has all of it."""
    return name if len(name) <= most else f"{name[: most - 1]}…"
