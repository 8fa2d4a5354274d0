"""Tables as text, for terminals and Markdown."""

import re
from collections.abc import Sequence

from tabulate import tabulate

from harness.text import printable


def terminal_table(head: Sequence[str], rows: Sequence[Sequence[str]], texts: int) -> str:
    """Aligned columns; the first `texts` of them are left-aligned, the others contain figures."""
    aligned = [*["left"] * texts, *["right"] * (len(head) - texts)]
    cells = [list(map(printable, row)) for row in rows]
    if not cells:
        return "  ".join(head)
    return str(tabulate(cells, head, tablefmt="plain", colalign=aligned, disable_numparse=True))


def markdown_table(head: Sequence[str], rows: Sequence[Sequence[str]], texts: int = 1) -> str:
    """A Markdown table whose cells cannot be read as markup."""
    lines = [
        head,
        [*["---"] * texts, *["---:"] * (len(head) - texts)],
        *([escape_markdown(printable(cell)) for cell in row] for row in rows),
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def escape_markdown(text: str) -> str:
    """The text with a backslash before everything that Markdown could read as markup."""
    return re.sub(r"[\\`*_\[\]<>|!&~#]", r"\\\g<0>", text)
