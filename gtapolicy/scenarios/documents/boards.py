"""Boards: a title and rows of words and numbers, on paper, chalkboards, displays and enamel signs."""

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from gtapolicy.pictures.camera import CameraView, tilted_view
from gtapolicy.pictures.canvas import Canvas, text_width
from gtapolicy.pictures.pen import Box
from gtapolicy.pictures.surfaces import DESKS
from gtapolicy.scenarios.data import load

NOTE_SIZE, NOTE_STEP = 17, 22
# The least space between two columns, in pixels.
GAP = 34


@dataclass(frozen=True, slots=True)
class BoardStyle:
    background: str
    ink: str
    # The color of the title and of the header.
    accent: str
    # The fonts of the rows and of the title.
    face: str
    title_face: str
    # The colors of the lines between rows, of every second row's background, and of the frame; "" for none.
    rule: str = ""
    zebra: str = ""
    frame: str = ""
    # The radius of the corners, in pixels.
    radius: float = 0
    uppercase: bool = False
    # The surfaces on which the board can be.
    surfaces: tuple[str, ...] = DESKS


STYLES = load("documents/documents.toml", "boards", dict[str, tuple[BoardStyle, ...]])


@dataclass(frozen=True, slots=True)
class Board:
    view: CameraView
    # The box of each row on the canvas, by the original text of its first cell.
    rows: dict[str, Box]


def board(
    rng: Random,
    kind: str,
    title: str,
    rows: Sequence[Sequence[str]],
    header: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Board:
    """A photographed board in a random style of a kind in STYLES. OCR reads each row as one line.

    The first column is left-aligned; the others are right-aligned.
    """
    style = rng.choice(STYLES[kind])
    size, pad = rng.choice((17, 18, 19)), rng.choice((24, 28, 32))
    step = round(size * rng.uniform(1.7, 2.05))
    title_size = size + rng.choice((5, 7, 9))
    table = ([header] if header else []) + list(rows)
    keys = [cells[0] for cells in table]
    if style.uppercase:
        title, table = title.upper(), [[cell.upper() for cell in cells] for cells in table]
    columns = [max(text_width(cells[i], size, style.face) for cells in table) for i in range(len(table[0]))]
    inner = max(
        sum(columns) + GAP * (len(columns) - 1),
        text_width(title, title_size, style.title_face),
        max((text_width(note, NOTE_SIZE, style.face) for note in notes), default=0),
        240,
    )
    height = round(2 * pad + title_size * 1.9 + step * len(table) + NOTE_STEP * len(notes))
    canvas = _blank(style, round(inner + 2 * pad), height)
    x, anchor = (canvas.width / 2, "mm") if rng.random() < 0.5 else (pad, "lm")
    canvas.text(x, pad + title_size * 0.5, title, title_size, style.accent, style.title_face, anchor)
    y = pad + title_size * 1.9
    places = _column_places(columns, pad, canvas.width)
    boxes = {}
    for number, (key, cells) in enumerate(zip(keys, table, strict=True)):
        if style.zebra and number % 2 == (1 if header else 0):
            canvas.rect(pad - 10, y, canvas.width - pad + 10, y + step, style.zebra, radius=4)
        if style.rule and number:
            canvas.line([(pad - 4, y), (canvas.width - pad + 4, y)], style.rule, 1)
        ink = style.accent if header and number == 0 else style.ink
        parts = [
            canvas.text(x, y + step / 2, cell, size, ink, style.face, anchor, is_line=False)
            for cell, (x, anchor) in zip(cells, places, strict=True)
        ]
        boxes[key] = canvas.add_line(" ".join(cells), parts)
        y += step
    for note in notes:
        canvas.text(pad, y + 16, note, NOTE_SIZE, style.ink, style.face, "lm")
        y += NOTE_STEP
    return Board(tilted_view(canvas, rng.choice(style.surfaces), rng), boxes)


def _blank(style: BoardStyle, width: int, height: int) -> Canvas:
    canvas = Canvas(width, height, None)
    canvas.rect(0, 0, width - 1, height - 1, style.background, radius=style.radius)
    if style.frame:
        # Rounded signs have a thin line near their edge, other boards a wide frame at their edge.
        inset, thick = (5, 3) if style.radius else (0, 9)
        box = Box(0, 0, width - 1, height - 1).grown(-inset)
        canvas.rect(*box, "", outline=style.frame, outline_width=thick, radius=style.radius)
    return canvas


def _column_places(columns: Sequence[float], pad: float, width: float) -> list[tuple[float, str]]:
    """The x and the anchor of the text in each column. The gaps between the columns are equal."""
    gap = (width - 2 * pad - sum(columns)) / max(1, len(columns) - 1)
    places = [(pad, "lm")]
    x = pad
    for first, second in itertools.pairwise(columns):
        x += first + gap
        places.append((x + second, "rm"))
    return places
