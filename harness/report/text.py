"""Tables as text, for terminals and Markdown."""

import re
import shutil
import sys
import textwrap
from collections.abc import Collection, Sequence
from itertools import zip_longest

from harness.text import printable

GAP = "  "
# A column of texts does not become narrower than its longest word, or than this many characters of it.
LONG_WORD = 16


def terminal_width() -> int | None:
    """The width of the terminal in characters; None if the output is a pipe or a file."""
    return shutil.get_terminal_size().columns if sys.stdout.isatty() else None


def terminal_table(
    head: Sequence[str], rows: Sequence[Sequence[str]], texts: int, width: int | None = None
) -> str:
    """Aligned columns; the first `texts` of them are left-aligned, the others contain figures.

    Texts are wrapped if the table is wider than `width` characters.
    """
    cells = [list(map(printable, row)) for row in (head, *rows)]
    widths, least = _widths(cells), _least_widths(cells, texts)
    excess = 0 if width is None else _total(widths) - width
    for _ in range(excess):
        shrinkable = [i for i in range(texts) if widths[i] > least[i]]
        if shrinkable:
            widths[max(shrinkable, key=widths.__getitem__)] -= 1
    align = [str.ljust] * texts + [str.rjust] * (len(head) - texts)
    lines = []
    for row in cells:
        wrapped = [textwrap.wrap(cell, most) or [""] for cell, most in zip(row, widths, strict=True)]
        for line in zip_longest(*wrapped, fillvalue=""):
            aligned = (pad(text, most) for pad, text, most in zip(align, line, widths, strict=True))
            lines.append(GAP.join(aligned).rstrip())
    return "\n".join(lines)


def fitting_table(
    head: Sequence[str],
    rows: Sequence[Sequence[str]],
    texts: int,
    width: int | None,
    main: Collection[str],
    then: Sequence[str] = (),
) -> tuple[str, list[str]]:
    """A table with as many columns as fit into this width, and the titles of the others.

    It always has the `main` columns; those in `then` come before the rest. Texts are wrapped to fit more.
    """
    if width is None:
        return terminal_table(head, rows, texts), []
    widths = _least_widths([list(map(printable, row)) for row in (head, *rows)], texts)
    chosen = {i for i, name in enumerate(head) if name in main}
    for i in (*map(head.index, then), *range(len(head))):
        if _total([widths[j] for j in chosen | {i}]) <= width:
            chosen.add(i)
    shown = sorted(chosen)
    table = terminal_table(
        [head[i] for i in shown],
        [[row[i] for i in shown] for row in rows],
        sum(i < texts for i in shown),
        width,
    )
    return table, [name for i, name in enumerate(head) if i not in chosen]


def left_out_note(titles: Collection[str]) -> str:
    """Which columns do not fit into the terminal, and how to see them."""
    several = len(titles) > 1
    columns = f"{len(titles)} columns do not" if several else "1 column does not"
    see = f"Add `| less -S` to this command, or `> FILE`, to see {'all of them' if several else 'it'}."
    return f"{columns} fit into this terminal ({', '.join(titles)}). {see}"


def _widths(cells: Sequence[Sequence[str]]) -> list[int]:
    return [max(1, *map(len, column)) for column in zip(*cells, strict=True)]


def _least_widths(cells: Sequence[Sequence[str]], texts: int) -> list[int]:
    """The widths of the columns if the first `texts` of them are wrapped as much as they can be."""
    widths = _widths(cells)
    for i in range(texts):
        title, *column = (row[i] for row in cells)
        words = [word for text in column for word in textwrap.wrap(text, 1, break_long_words=False)]
        widths[i] = max(len(title), min(max(map(len, words), default=1), LONG_WORD))
    return widths


def _total(widths: Sequence[int]) -> int:
    return sum(widths) + len(GAP) * (len(widths) - 1)


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
