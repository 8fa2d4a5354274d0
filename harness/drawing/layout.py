"""Arranges a tree as an indented outline, in which what is off the paths is small.

    ●  1 a red object?                 each visited decision has a row of its own,
    │  yes: a small red cube           with its reason below it
    ├─ yes ● 1.1 a cube among these?
    │      │  no
    │      ├─ yes  ⋲ 12 leaves         a subtree that no path visits is folded: a row with a small drawing
    │      └─ no   ■ Case 7
    └─ no  ⋲ 20 leaves

So a path of six decisions fits on a phone, whatever the size of the tree. Small trees are never folded.
"""

import unicodedata
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

from harness.tree import Node

# All lengths are in CSS pixels.
WIDTH = 360
INDENT = 30
# The center of the root's dot, and the distance from a dot to its text.
LEFT, GAP = 18, 13
# The side of a picture in a decision.
PICTURE = 44
FONT, LINE = 13, 17
SMALL_FONT, SMALL_LINE = 11.5, 15
PADDING = 5
# A tree with at most this many leaves is never folded.
SMALL_TREE = 8
# Of a decision with more branches than this, those that no path visits share rows.
MANY_BRANCHES = 8
# A folded subtree: the distances between its leaves and its layers, and its greatest height.
LEAF_STEP, LAYER_STEP, MAX_FOLDED = 4.0, 10.0, 72.0
# The share of the font size that a letter needs on average; wide fonts included.
LETTER = 0.58


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text with the name of its style."""

    style: str
    text: str


@dataclass(frozen=True, slots=True)
class Row:
    """A node of the outline with its texts."""

    node: Node
    # On the branch that leads to it.
    label: str
    depth: int
    # The index of the row of its parent; None for the root.
    parent: int | None
    top: float
    height: float
    lines: tuple[Line, ...] = ()
    # Whether everything below it is a small drawing in the same row.
    folded: bool = False

    @property
    def x(self) -> float:
        return LEFT + self.depth * INDENT

    @property
    def y(self) -> float:
        """The center of the dot."""
        if self.folded or self.node.image:
            return self.top + self.height / 2
        return self.top + PADDING + LINE / 2

    @property
    def text_x(self) -> float:
        return self.x + GAP + (PICTURE + 8 if self.node.image and not self.folded else 0)


def outline(
    root: Node, visited: Collection[str], notes: Mapping[str, Sequence[Line]], whole: bool = False
) -> list[Row]:
    """The rows of a tree. Notes are by node. With `whole`, no subtree is folded."""
    whole = whole or sum(1 for _ in root.leaves()) <= SMALL_TREE
    rows: list[Row] = []

    def is_folded(node: Node) -> bool:
        return not whole and bool(node.branches) and not _visits(node, visited)

    def add(node: Node, label: str, depth: int, parent: int | None, top: float) -> float:
        """Adds a node and what is below it. Returns where the next row begins."""
        index = len(rows)
        if is_folded(node):
            rows.append(Row(node, label, depth, parent, top, folded_height(node), folded=True))
            return top + rows[-1].height
        row = Row(node, label, depth, parent, top, 0)
        lines = [*_own_lines(node, row.text_x), *_wrapped(notes.get(node.id, ()), row.text_x)]
        text_height = sum(LINE if line.style in ("name", "ask") else SMALL_LINE for line in lines)
        height = max(text_height, PICTURE if node.image else 0) + 2 * PADDING
        rows.append(Row(node, label, depth, parent, top, height, tuple(lines)))
        top += height
        for branch_label, branch in node.branches if whole else _grouped(node, visited):
            top = add(branch, branch_label, depth + 1, index, top)
        return top

    add(root, "", 0, None, 0)
    return rows


def _visits(node: Node, visited: Collection[str]) -> bool:
    """Whether a path visits the node or one below it."""
    return any(below.id in visited for below in node.walk())


def _grouped(node: Node, visited: Collection[str]) -> Iterator[tuple[str, Node]]:
    """The branches of a node. If they are many, successive ones that no path visits become one."""
    if len(node.branches) <= MANY_BRANCHES:
        yield from node.branches
        return
    for is_visited, run in groupby(node.branches, lambda branch: _visits(branch[1], visited)):
        branches = tuple(run)
        if is_visited or len(branches) == 1:
            yield from branches
        else:
            first, last = branches[0][1], branches[-1][1]
            yield "", Node(f"{first.id} … {last.id}", f"{len(branches)} others", branches=branches)


def _own_lines(node: Node, x: float) -> Iterator[Line]:
    """Its name and what it asks, in one line if they fit."""
    both = f"{node.name}  {node.text}"
    if not node.text or text_width(both, FONT) <= WIDTH - x:
        yield Line("name", short_line(both if node.text else node.name, FONT, WIDTH - x))
    else:
        yield Line("name", short_line(node.name, FONT, WIDTH - x))
        for text in wrap(node.text, FONT, WIDTH - x, 4):
            yield Line("ask", text)


def _wrapped(lines: Iterable[Line], x: float) -> Iterator[Line]:
    for line in lines:
        yield from (Line(line.style, text) for text in wrap(line.text, SMALL_FONT, WIDTH - x, 4))


def folded_height(node: Node) -> float:
    return max(LINE, _leaf_step(node) * sum(1 for _ in node.leaves())) + 4


def folded_lines(node: Node) -> tuple[list[tuple[float, float, float, float]], list[tuple[float, float]]]:
    """The small drawing of a subtree: its branches (x1, y1, x2, y2), and its leaves (x, y).

    The root is at the origin, and the leaves are centered around y = 0.
    """
    step = _leaf_step(node)
    branches: list[tuple[float, float, float, float]] = []
    leaves: list[tuple[float, float]] = []

    def place(below: Node, x: float) -> float:
        if not below.branches:
            leaves.append((x, step * len(leaves)))
            return leaves[-1][1]
        ys = [place(branch, x + LAYER_STEP) for _, branch in below.branches]
        y = (ys[0] + ys[-1]) / 2
        branches.extend((x, y, x + LAYER_STEP, at) for at in ys)
        return y

    root_y = place(node, 0)
    return [(x, y - root_y, u, v - root_y) for x, y, u, v in branches], [(x, y - root_y) for x, y in leaves]


def _leaf_step(node: Node) -> float:
    return min(LEAF_STEP, MAX_FOLDED / sum(1 for _ in node.leaves()))


def text_width(text: str, font: float) -> float:
    """An estimate, because the font of a page is unknown."""
    return font * sum(1.0 if unicodedata.east_asian_width(c) in "WF" else LETTER for c in text)


def short_line(text: str, font: float, width: float) -> str:
    return next(wrap(text, font, width, 1), "")


def wrap(text: str, font: float, width: float, most: int) -> Iterator[str]:
    """The lines of a text, at most this many. Words that are too long are broken; "…" is for what is left."""
    words = text.split()
    for number in range(1, most + 1):
        if not words:
            return
        line = words.pop(0)
        while words and text_width(f"{line} {words[0]}", font) <= width:
            line += f" {words.pop(0)}"
        if text_width(line, font) > width:
            fits = max(1, int(width / font / LETTER))
            while fits > 1 and text_width(line[:fits], font) > width:
                fits -= 1
            words.insert(0, line[fits:])
            line = line[:fits]
        yield f"{line[:-1] if len(line) > 1 else line}…" if words and number == most else line
