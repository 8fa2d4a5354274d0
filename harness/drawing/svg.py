"""The drawings: a policy with the correct path and the path that a response claims, and a picture with marks.

All texts are escaped. `drawing.css` gives the classes their colors.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from markupsafe import Markup, escape

from harness.drawing.layout import (
    INDENT,
    LINE,
    PADDING,
    PICTURE,
    SMALL_LINE,
    WIDTH,
    Line,
    Row,
    folded_lines,
    outline,
)
from harness.text import printable, short
from harness.tree import Mark, Node, Path

# The most steps that are drawn of a response, which can cite conditions without end.
MAX_STEPS = 40
# The most characters of a name that only a response has, and of the names at a mark.
MAX_NAME, MAX_TAG = 40, 16
# The height of the names at a mark.
TAG = 16
# The width and the greatest height of a question's picture.
PICTURE_WIDTH, PICTURE_HEIGHT = 480.0, 440.0
# How many times larger than its pixels it is at most.
MAX_ENLARGED = 4.0


@dataclass(frozen=True, slots=True)
class Symbol:
    """An image that is defined once in a page, with its size in pixels."""

    id: str
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class Drawing:
    """An SVG with its size in CSS pixels. A template inserts it without escaping."""

    svg: Markup
    width: float
    height: float

    def __html__(self) -> str:
        return self.svg


def _safe(text: str) -> Markup:
    return escape(printable(text))


# Finds the image at a path; None if it cannot be shown.
FindSymbol = Callable[[str], Symbol | None]


def draw_tree(
    root: Node, gold: Path, symbol: FindSymbol, claimed: Path | None = None, whole: bool = False
) -> Drawing:
    """A policy with the correct path, and with that of a response if there is one."""
    if claimed is not None:
        root, claimed = _with_unknown(root, claimed)
    paths = [gold] if claimed is None else [gold, claimed]
    visited = {step.node for path in paths for step in path.steps} | {path.error_at for path in paths}
    rows = outline(root, visited, _notes(root, gold, claimed), whole)
    by_id = {row.node.id: row for row in rows}
    height = rows[-1].top + rows[-1].height + PADDING
    on_gold = {step.node for step in gold.steps}
    on_claimed = {step.node for step in claimed.steps} if claimed else set()
    body = [
        *(_edge(rows[row.parent], row, "edge") for row in rows if row.parent is not None),
        *_path_edges(gold, rows, by_id, "gold"),
        *(_path_edges(claimed, rows, by_id, "claimed") if claimed else ()),
    ]
    for row in rows:
        classes = ["gold"] * (row.node.id in on_gold) + ["claimed"] * (row.node.id in on_claimed)
        if claimed and row.node.id == claimed.error_at and claimed.error:
            classes.append("error")
        body.append(_row(row, classes, symbol))
    return _drawing("tree", WIDTH, height, _description(root, gold, claimed), body)


def _drawing(name: str, width: float, height: float, label: str, body: Iterable[str]) -> Drawing:
    head = (
        f'<svg class="{name}" viewBox="0 0 {width:g} {height:g}" width="{width:g}" height="{height:g}" '
        f'role="img" aria-label="{_safe(label)}">'
    )
    return Drawing(Markup(f"{head}{''.join(body)}</svg>"), width, height)


def _with_unknown(root: Node, claimed: Path) -> tuple[Node, Path]:
    """The tree with a branch to each node that only the response has, and the steps that are drawn."""
    known = {node.id for node in root.walk()}
    steps = claimed.steps[:MAX_STEPS]
    unknown: dict[str, dict[str, Node]] = {}
    place = root.id
    for step in steps:
        if step.node in known:
            place = step.node
        elif not any(step.node in of_place for of_place in unknown.values()):
            name = short(step.node, MAX_NAME)
            unknown.setdefault(place, {})[step.node] = Node(step.node, name, "(not in this policy)")

    def extended(node: Node) -> Node:
        added = tuple(("", other) for other in unknown.get(node.id, {}).values())
        branches = tuple((label, extended(branch)) for label, branch in node.branches)
        return Node(node.id, node.name, node.text, node.image, branches + added)

    drawn = known | {step.node for step in steps}
    error_at = claimed.error_at if claimed.error_at in drawn else ""
    return extended(root) if unknown else root, Path(steps, error=claimed.error, error_at=error_at)


def _notes(root: Node, gold: Path, claimed: Path | None) -> Mapping[str, Sequence[Line]]:
    """What is written below each node: the reasons of the only path, or what the response claims.

    A first error that is at no node is written below the root.
    """
    decisions = {node.id for node in root.walk() if node.branches}
    correct = {step.node: step.note for step in gold.steps if step.note}
    if claimed is None:
        return {node: [Line("note", note)] for node, note in correct.items()}
    notes: dict[str, list[Line]] = {}
    for step in claimed.steps:
        if step.note:
            notes.setdefault(step.node, []).append(Line("claim", f"says {step.note}"))
    if claimed.error:
        at_error = notes.setdefault(claimed.error_at or root.id, [])
        at_error.append(Line("error", f"first error: {claimed.error}"))
        if claimed.error_at in correct and claimed.error_at in decisions:
            at_error.append(Line("note", f"correct: {correct[claimed.error_at]}"))
    return notes


def _path_edges(path: Path, rows: Sequence[Row], by_id: Mapping[str, Row], name: str) -> Iterator[str]:
    """The branches between successive steps, and dashed lines between others."""
    steps = [by_id[step.node] for step in path.steps if step.node in by_id]
    jumps = 0
    for start, end in pairwise(steps):
        if end.parent is not None and rows[end.parent] is start:
            yield _edge(start, end, f"edge {name}")
        else:
            # Along the left margin, where it crosses no text. Several are next to each other.
            left, down = 6 - 3 * (jumps % 3), 1 if end.y > start.y else -1
            jumps += 1
            yield (
                f'<path class="edge {name} jump" d="M{start.x:g} {start.y:g}H{left + 6:g}q-6 0 -6 {6 * down}'
                f'V{end.y - 6 * down:g}q0 {6 * down} 6 {6 * down}H{end.x:g}"/>'
            )


def _edge(start: Row, end: Row, name: str) -> str:
    turn = f"V{end.y - 7:g}q0 7 7 7H{end.x:g}"
    return f'<path class="{name}" d="M{start.x:g} {start.y:g}{turn}"/>'


def _row(row: Row, classes: Sequence[str], symbol: FindSymbol) -> str:
    node = row.node
    label = ""
    if row.label:
        middle = row.x - INDENT / 2 + (4 if row.folded else 0)
        label = f'<text class="branch" x="{middle:g}" y="{row.y - 6:g}">{_safe(row.label)}</text>'
    if row.folded:
        return f'<g class="folded">{label}{_folded(row)}</g>'
    names = " ".join(["row", "decision" if node.branches else "leaf", *classes])
    back = ""
    if "gold" in classes:  # for the pointer
        back = (
            f'<rect class="back" x="{row.x + 9:g}" y="{row.top + 1:g}" width="{WIDTH - row.x - 9:g}" '
            f'height="{row.height - 2:g}" rx="5"/>'
        )
    body = f"{back}{label}{_dot(row, classes)}{_image(row, symbol)}{_text(row)}"
    return f'<g class="{names}" data-node="{_safe(short(node.id, MAX_NAME))}">{body}</g>'


def _dot(row: Row, classes: Sequence[str]) -> str:
    ring = f'<circle class="ring" cx="{row.x:g}" cy="{row.y:g}" r="9"/>' if "error" in classes else ""
    if row.node.branches:
        return f'{ring}<circle class="dot" cx="{row.x:g}" cy="{row.y:g}" r="5"/>'
    return f'{ring}<rect class="dot" x="{row.x - 5:g}" y="{row.y - 5:g}" width="10" height="10" rx="2"/>'


def _image(row: Row, symbol: FindSymbol) -> str:
    found = symbol(row.node.image) if row.node.image else None
    if found is None:
        return ""
    return (
        f'<use class="crop" href="#{found.id}" x="{row.x + 13:g}" y="{row.top + PADDING:g}" '
        f'width="{PICTURE}" height="{PICTURE}"/>'
    )


def _text(row: Row) -> str:
    heights = [LINE if line.style in ("name", "ask") else SMALL_LINE for line in row.lines]
    x, y = row.text_x, row.top + (row.height - sum(heights)) / 2
    pieces = []
    for line, high in zip(row.lines, heights, strict=True):
        y += high
        name, text = printable(row.node.name), printable(line.text)
        rest = text.removeprefix(name).strip() if line.style == "name" and text.startswith(name) else ""
        shown = Markup('{}<tspan class="ask" dx="6">{}</tspan>').format(name, rest) if rest else escape(text)
        pieces.append(f'<text class="{line.style}" x="{x:g}" y="{y - 4:g}">{shown}</text>')
    return "".join(pieces)


def _folded(row: Row) -> str:
    branches, leaves = folded_lines(row.node)
    lines = "".join(
        f"M{row.x + a:.4g} {row.y + b:.4g}L{row.x + c:.4g} {row.y + d:.4g}" for a, b, c, d in branches
    )
    dots = "".join(f"M{row.x + x:.4g} {row.y + y:.4g}h0" for x, y in leaves)
    right = row.x + max(x for x, _ in leaves) + 8
    label = _safe(f"{short(row.node.name)} · {len(leaves)} leaves")
    return (
        f"<title>{_safe(f'{row.node.name} {row.node.text}')}</title>"
        f'<path class="twigs" d="{lines}"/><path class="buds" d="{dots}"/>'
        f'<text class="folds" x="{right:g}" y="{row.y + 4:g}">{label}</text>'
    )


def _description(root: Node, gold: Path, claimed: Path | None) -> str:
    """The paths as a sentence, for who cannot see them."""
    names = {node.id: node.name for node in root.walk()}

    def listed(path: Path, notes: bool) -> str:
        steps = [names.get(s.node, s.node) + (f" ({s.note})" if notes and s.note else "") for s in path.steps]
        return ", ".join(steps) or "none"

    text = f"Correct path: {listed(gold, notes=claimed is None)}."
    if claimed is not None:
        text += f" Path of the response: {listed(claimed, notes=True)}."
        text += f" First error: {claimed.error}." if claimed.error else ""
    return text


def draw_picture(symbol: Symbol, marks: Sequence[Mark], name: str, enlarge: bool = False) -> Drawing:
    """An image with a box around each mark, which names the nodes that it is a reason for."""
    scale = min(PICTURE_WIDTH / symbol.width, PICTURE_HEIGHT / symbol.height, MAX_ENLARGED if enlarge else 1)
    width, height = symbol.width * scale, symbol.height * scale
    boxes, tags = [], []
    for mark in marks:
        left, top, right, bottom = (scale * edge for edge in mark.place)
        box = f'x="{left:g}" y="{top:g}" width="{right - left:g}" height="{bottom - top:g}" rx="3"'
        boxes.append(_mark(mark, f'<rect class="halo" {box}/><rect class="box" {box}/>'))
        text = _tag(mark)
        wide = 7 * len(text) + 9
        x = max(0.0, min(left, width - wide))
        y = top - TAG if top >= TAG else min(bottom, height - TAG)
        tag = f'<rect class="tag" x="{x:g}" y="{y:g}" width="{wide:g}" height="{TAG}" rx="3"/>'
        tags.append(_mark(mark, f'{tag}<text x="{x + 5:g}" y="{y + 12:g}">{_safe(text)}</text>'))
    picture = f'<use href="#{symbol.id}" width="{width:g}" height="{height:g}"/>'
    # Tags are drawn last, so that no box hides them.
    return _drawing("picture", width, height, name, [picture, *boxes, *tags])


def _mark(mark: Mark, body: str) -> str:
    return f'<g class="mark" data-nodes="{_safe(" ".join(mark.nodes))}">{body}</g>'


def _tag(mark: Mark) -> str:
    """The nodes of a mark, or the last one if they are too long."""
    text = " · ".join(mark.nodes)
    return text if len(text) <= MAX_TAG else short(mark.nodes[-1], MAX_TAG)


def mark_text(text: str, marks: Sequence[Mark]) -> Markup:
    """A text of a question in which each mark is highlighted and names its nodes."""
    pieces, end = [], 0
    for mark in sorted(marks, key=lambda m: m.place):
        first, last = mark.place
        marked = Markup('<mark class="mark" data-nodes="{}">{}<small>{}</small></mark>').format(
            " ".join(mark.nodes), text[first:last], _tag(mark)
        )
        pieces += [escape(text[end:first]), marked]
        end = last
    return Markup("").join([*pieces, escape(text[end:])])
