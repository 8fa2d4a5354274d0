"""Rows of words and numbers as they hang and lie about: sheets, chalkboards, displays, enamel signs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from gtapolicy.pictures.camera import CameraView, tilted_view
from gtapolicy.pictures.canvas import Box, Canvas, font
from gtapolicy.pictures.surfaces import DESKS, WALLS


@dataclass(frozen=True, slots=True)
class Look:
    ground: str
    ink: str
    accent: str
    faces: tuple[str, str]
    """Of the text and of the title."""
    rule: str = ""
    """Colour of the lines between rows; empty: none."""
    zebra: str = ""
    frame: str = ""
    radius: float = 0
    caps: bool = False
    on: tuple[str, ...] = DESKS


LOOKS = {
    "paper": (
        Look("#fdfcf7", "#2b2b2b", "#7a2e2e", ("serif", "serif bold"), rule="#cfc8b8"),
        Look("#ffffff", "#1e2a38", "#1f5f8b", ("sans", "bold"), zebra="#eaf2f8"),
        Look("#fbf5e6", "#3a2d1e", "#9a5b13", ("book", "book bold"), rule="#e0d3b4"),
        Look("#f7faf5", "#23331f", "#3c7a3a", ("sans", "serif bold"), zebra="#e6f0e0"),
        Look("#ffffff", "#111111", "#111111", ("mono", "mono bold"), rule="#111111"),
        Look("#fff9fb", "#3b2333", "#b03a6e", ("serif", "serif italic"), zebra="#fbe9f0"),
    ),
    "chalk": (
        Look("#2f3b36", "#f2efe4", "#f6d76b", ("book italic", "book bold"), frame="#8a6239", on=WALLS),
        Look("#2b2d30", "#f4f1ea", "#f2a7a0", ("serif italic", "serif bold"), frame="#5f4228", on=WALLS),
        Look("#33415a", "#f3f1ea", "#9fd8c8", ("book", "book bold"), frame="#b58a5a", on=WALLS),
    ),
    "led": (
        Look(
            "#0d0f12",
            "#ffb22e",
            "#fff4d6",
            ("mono bold", "mono bold"),
            rule="#23262b",
            frame="#34383e",
            caps=True,
            on=("concrete", "plaster"),
        ),
        Look(
            "#08120d",
            "#6df58b",
            "#e8ffe9",
            ("mono bold", "mono bold"),
            rule="#16261c",
            frame="#3b3f45",
            caps=True,
            on=("concrete", "brick"),
        ),
        Look(
            "#10244a",
            "#ffffff",
            "#ffd84a",
            ("bold", "bold"),
            zebra="#1a3262",
            frame="#c9ccd1",
            on=("concrete", "plaster"),
        ),
    ),
    "enamel": (
        Look("#1d4f91", "#ffffff", "#ffffff", ("bold", "bold"), radius=14, frame="#ffffff", on=WALLS),
        Look("#f4f4f2", "#1a1a1a", "#b3261e", ("bold", "bold"), radius=12, frame="#1a1a1a", on=WALLS),
        Look("#1f6b45", "#fdfdf8", "#ffe9a8", ("bold", "bold"), radius=14, frame="#fdfdf8", on=WALLS),
        Look("#f7d64a", "#1f1b10", "#1f1b10", ("bold", "bold"), radius=10, frame="#1f1b10", on=WALLS),
    ),
}


@dataclass(frozen=True, slots=True)
class Board:
    shot: CameraView
    rows: dict[str, Box]
    """By the first cell of a row: the row's box on the canvas."""
    title: Box


def board(
    rng: Random,
    kind: str,
    title: str,
    rows: Sequence[Sequence[str]],
    head: Sequence[str] = (),
    notes: Sequence[str] = (),
) -> Board:
    """The first column is set to the left, the others to the right."""
    look = rng.choice(LOOKS[kind])
    size, pad = rng.choice((17, 18, 19)), rng.choice((24, 28, 32))
    step = round(size * rng.uniform(1.7, 2.05))
    text_face, title_face = look.faces
    lines = [
        list(map(str.upper, row)) if look.caps else list(row) for row in ([head] if head else []) + list(rows)
    ]
    columns = [max(_wide(line[i], size, text_face) for line in lines) for i in range(len(lines[0]))]
    big = size + rng.choice((5, 7, 9))
    named = title.upper() if look.caps else title
    notes_wide = max((_wide(note, 17, text_face) for note in notes), default=0)
    gap = 34
    inner = max(sum(columns) + gap * (len(columns) - 1), _wide(named, big, title_face), notes_wide, 240)
    height = round(2 * pad + big * 1.9 + step * len(lines) + 22 * len(notes))
    canvas = Canvas(round(inner + 2 * pad), height, None)
    canvas.rect(0, 0, canvas.width - 1, height - 1, look.ground, radius=look.radius)
    if look.frame:
        inset = 5 if look.radius else 0
        canvas.rect(
            inset,
            inset,
            canvas.width - 1 - inset,
            height - 1 - inset,
            None,
            look.frame,
            3 if look.radius else 9,
            look.radius,
        )
    middle = rng.random() < 0.5
    x = canvas.width / 2 if middle else pad
    heading = canvas.text(x, pad + big * 0.5, named, big, look.accent, title_face, "mm" if middle else "lm")
    y = pad + big * 1.9
    boxes = {}
    for number, cells in enumerate(lines):
        heads = bool(head) and number == 0
        if look.zebra and number % 2 == (1 if head else 0):
            canvas.rect(pad - 10, y, canvas.width - pad + 10, y + step, look.zebra, radius=4)
        if look.rule and number:
            canvas.line([(pad - 4, y), (canvas.width - pad + 4, y)], look.rule, 1)
        box = _cells(
            canvas, cells, columns, pad, y + step / 2, size, look.accent if heads else look.ink, text_face
        )
        if not heads:
            boxes[rows[number - bool(head)][0]] = box
        y += step
    for note in notes:
        canvas.text(pad, y + 16, note, 17, look.ink, text_face, "lm")
        y += 22
    return Board(tilted_view(canvas, rng.choice(look.on), rng), boxes, heading)


def _cells(
    canvas: Canvas,
    cells: Sequence[str],
    columns: list[float],
    pad: float,
    y: float,
    size: float,
    ink: str,
    face: str,
) -> Box:
    free = canvas.width - 2 * pad - sum(columns)
    gap = free / max(1, len(columns) - 1)
    boxes = []
    x: float = pad
    for number, (cell, wide) in enumerate(zip(cells, columns, strict=True)):
        at = x if number == 0 else x + wide
        boxes.append(canvas.text(at, y, cell, size, ink, face, "lm" if number == 0 else "rm", is_line=False))
        x += wide + gap
    return canvas.add_line(" ".join(cells), boxes)


def _wide(text: str, size: float, face: str) -> float:
    return font(face, 4 * size).getlength(text) / 4
