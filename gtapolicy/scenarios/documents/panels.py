"""Control panels of machines, with dials, displays and switches."""

import math
from dataclasses import dataclass
from random import Random

from gtapolicy.pictures.camera import CameraView, tilted_view
from gtapolicy.pictures.canvas import Canvas
from gtapolicy.pictures.pen import Box
from gtapolicy.scenarios import names
from gtapolicy.scenarios.data import calculation, load, phrase
from gtapolicy.scenarios.draft import Draft, read_and_box, read_and_calculate

# The unit and the maximum of the scale of each gauge.
GAUGES = load("documents/documents.toml", "gauges", dict[str, tuple[str, int]])
LIGHT_METALS = ("#aeb4b8", "#c9c2ae")


@dataclass(frozen=True, slots=True)
class Panel:
    view: CameraView
    # By the name of the gauge: the number that it shows, and the box of its text on the canvas.
    readings: dict[str, str]
    boxes: dict[str, Box]


def panel(rng: Random) -> Panel:
    """Two dials, two displays and four switches."""
    metal = rng.choice(("#aeb4b8", "#39424a", "#c9c2ae", "#4d5d53", "#2f3b52"))
    ink = "#1d2226" if metal in LIGHT_METALS else "#f0f2f3"
    canvas = Canvas(500, 330, None)
    canvas.rect(0, 0, 499, 329, metal, radius=10, shade="fade")
    for x, y in ((14, 14), (486, 14), (14, 316), (486, 316)):
        canvas.disc(x, y, 6, "#8b8f92", "sphere")
    title = f"{names.brand(rng).upper()} {rng.randint(100, 990)}"
    canvas.text(250, 28, title, 22, ink, "bold", "mm")
    readings, boxes = {}, {}
    for number, (name, (unit, end)) in enumerate(rng.sample(list(GAUGES.items()), 4)):
        x, reading = 70 + number * 120, rng.randint(1, end * 10 - 10) / 10
        readings[name] = f"{reading:.1f}"
        text = f"{readings[name]} {unit}"
        if number < 2:
            _draw_dial(canvas, x, 118, reading / end)
            boxes[name] = canvas.text(x, 192, text, 19, ink, "bold", "mm")
            canvas.text(x, 218, name, 16, ink, anchor="mm")
        else:
            canvas.rect(x - 50, 80, x + 50, 150, "#0d1210", outline="#1f2326", outline_width=3, radius=5)
            canvas.line([(x - 44, 85), (x + 20, 85)], "#ffffff20", 2)
            boxes[name] = canvas.text(x, 115, text, 19, "#ff9d3b", "mono bold", "mm")
            canvas.text(x, 172, name, 16, ink, anchor="mm")
    for number, name in enumerate(rng.sample(("PUMP", "FAN", "LIGHT", "HEAT", "ALARM", "DRAIN"), 4)):
        x, is_on = 85 + number * 110, rng.random() < 0.5
        canvas.rect(x - 13, 246, x + 13, 288, "#22272b", radius=6)
        top = 250 if is_on else 268
        canvas.rect(x - 9, top, x + 9, top + 16, "#e8e6df", radius=4, shade="fade")
        canvas.disc(x + 26, 266, 6, "#4ed06a" if is_on else "#5b2a26", "sphere")
        canvas.text(x, 304, name, 16, ink, "bold", "mm")
    view = tilted_view(canvas, rng.choice(("concrete", "plaster", "slate")), rng, 0.08)
    return Panel(view, readings, boxes)


def _draw_dial(canvas: Canvas, x: float, y: float, share: float) -> None:
    """A dial. Its scale starts at the lower left and spans 270 degrees; `share` is the hand's position."""

    def radial(degrees: float, inner: float, outer: float, color: str, width: float) -> None:
        cos, sin = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
        ends = [(x + inner * cos, y + inner * sin), (x + outer * cos, y + outer * sin)]
        canvas.line(ends, color, width)

    canvas.disc(x, y, 54, "#6e7478", "sphere")
    canvas.disc(x, y, 48, "#f7f5ee")
    canvas.arc(Box(x - 40, y - 40, x + 40, y + 40), 330, 405, "#cf3b30", 5)
    for tick in range(11):
        radial(135 + 27 * tick, 36 if tick % 5 else 31, 42, "#2b2b2b", 2)
    radial(135 + 270 * share, -8, 38, "#b3201b", 3)
    canvas.disc(x, y, 6, "#33373a", "sphere")


def notice(rng: Random) -> tuple[CameraView, str]:
    """The picture of a panel and a sentence that describes it, for notices.py."""
    shown = panel(rng)
    gauges = len(shown.readings)
    return shown.view, f"The control panel of a machine with {gauges} dials, displays and a row of switches."


def calculate_with_reading(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family ocr_calc: a calculation with one reading."""
    shown = panel(rng)
    name = rng.choice(sorted(shown.readings))
    percent, number = rng.randint(12, 95), rng.randint(3, 48)
    values = {"name": name.lower(), "reading": shown.readings[name], "percent": percent, "number": number}
    query, expression = calculation(rng, "reading", **values, limit=percent + 100)
    origin = "the reading that OCR found, and the query's number"
    return read_and_calculate(query, paths[0], shown.view, expression, origin)


def mark_reading(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family circle: one reading, with the annotation "check"."""
    shown = panel(rng)
    name = rng.choice(sorted(shown.readings))
    reader = rng.choice(("the technician", names.person(rng), "our log book"))
    query = phrase(rng, "mark_reading", reader=reader, name=name.lower())
    return read_and_box(query, paths[0], shown.view, shown.boxes[name], "check")
