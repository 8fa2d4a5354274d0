"""Notices that want explaining: warnings, house rules, care labels, and panels of machines."""

from __future__ import annotations

import math
from random import Random

from gtapolicy.pictures.camera import CameraView, tilted_view
from gtapolicy.pictures.canvas import Box, Canvas
from gtapolicy.pictures.surfaces import WALLS
from gtapolicy.scenarios import names
from gtapolicy.scenarios.documents.boards import board
from gtapolicy.scenarios.draft import Draft, calculate, describe, draw_box, ocr

WARNINGS = (
    ("Thin ice", "Keep off the pond"),
    ("Wet paint", "Do not lean here"),
    ("Falling rocks", "Do not stop"),
    ("High voltage", "Keep the door shut"),
    ("Low bridge", "Clearance {m} m"),
    ("Deep water", "No swimming after {h} pm"),
    ("Guard geese", "Ring and wait"),
    ("Slippery steps", "Hold the rail"),
    ("Works traffic", "Max. {k} km/h"),
)
RULES = (
    "Shoes off at the door",
    "Quiet after {h} pm",
    "No food in the reading room",
    "Dogs on a lead",
    "Cash only",
    "Return keys by {h} am",
    "Lockers: {m} coin",
    "No photos with flash",
    "Ring twice for deliveries",
    "Bikes in the yard only",
    "Last entry {k} min before closing",
    "Children under {m} with an adult",
    "Rinse your cup",
    "Max. {m} books at a time",
)
CARE = (
    "Wash at {t} °C",
    "Do not bleach",
    "Dry flat in the shade",
    "Cool iron",
    "Wash inside out",
    "Wash before wearing",
    "No tumble dryer",
    "Use with like colours",
    "{k}% wool",
)
WORDINGS = (
    "What am I supposed to do here?",
    "I don't understand this. Could you explain what it wants from me?",
    "My grandmother lost her glasses. What does it say, in plain words?",
    "What does this mean for me as a visitor?",
    "I'm new here; tell me what I have to mind.",
    "Summarise for a guest what this asks for.",
    "Is there anything here that I must not do?",
    "Explain this to a child, please.",
)


def _filled(rng: Random, text: str) -> str:
    return text.format(
        m=rng.randint(2, 9), h=rng.randint(6, 11), k=rng.randint(1, 6) * 10, t=rng.choice((30, 40, 60))
    )


def warning(rng: Random) -> tuple[CameraView, str]:
    title, more = (_filled(rng, text) for text in rng.choice(WARNINGS))
    ground, ink = rng.choice((("#f6c833", "#1c1a14"), ("#f4f4f0", "#b3201b"), ("#ec7f28", "#1c1a14")))
    canvas = Canvas(rng.choice((330, 370)), 330, None)
    w = canvas.width
    canvas.rect(0, 0, w - 1, 329, ground, radius=16)
    canvas.rect(7, 7, w - 8, 322, None, ink, 5, 11)
    canvas.polygon([(w / 2, 34), (w / 2 + 84, 178), (w / 2 - 84, 178)], ink)
    canvas.polygon([(w / 2, 62), (w / 2 + 60, 164), (w / 2 - 60, 164)], ground)
    canvas.rect(w / 2 - 6, 92, w / 2 + 6, 136, ink, radius=5)
    canvas.disc(w / 2, 150, 7, ink)
    canvas.text(w / 2, 222, title.upper(), 30, ink, "bold", "mm")
    canvas.text(w / 2, 272, more, 21, ink, "sans", "mm")
    for x, y in ((20, 20), (w - 20, 20), (20, 310), (w - 20, 310)):
        canvas.disc(x, y, 4, "#8d8d8d", "sphere")
    return tilted_view(
        canvas, rng.choice(WALLS), rng, 0.14
    ), "A warning sign with a triangle and some words on a wall."


def rules(rng: Random) -> tuple[CameraView, str]:
    house = rng.choice(
        (
            f"{names.town(rng)} Library",
            f"Hostel {names.town(rng)}",
            names.shop(rng),
            f"{names.town(rng)} Museum",
        )
    )
    chosen = [_filled(rng, text) for text in rng.sample(RULES, rng.randint(4, 6))]
    shown = board(rng, rng.choice(("paper", "chalk", "enamel")), house, [(text,) for text in chosen])
    return shown.shot, f"A notice with {len(chosen)} house rules."


def care(rng: Random) -> tuple[CameraView, str]:
    chosen = [_filled(rng, text) for text in rng.sample(CARE, rng.randint(4, 6))]
    shown = board(rng, "paper", f"{names.brand(rng)} Knitwear", [(text,) for text in chosen])
    return shown.shot, "A label with instructions for the care of a garment."


def opening(rng: Random) -> tuple[CameraView, str]:
    open_, close = rng.randint(7, 11), rng.randint(16, 21)
    closed = rng.choice(("Monday", "Tuesday", "Sunday"))
    rows = [
        (day, "closed" if day == closed else f"{open_}:{rng.choice(('00', '30'))} - {close}:00")
        for day in "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
    ]
    shown = board(
        rng,
        rng.choice(("enamel", "paper", "chalk")),
        f"{names.shop(rng)}",
        rows,
        notes=[rng.choice(("Please ring", "Closed on holidays", "Kitchen until " + f"{close - 1}:00"))],
    )
    return shown.shot, "A sign with opening hours for each day of the week."


def explained(rng: Random, paths: tuple[str, ...], open_question: bool = False) -> Draft:
    shot, sentence = rng.choice((warning, warning, rules, care, opening, machine))(rng)
    return Draft(
        rng.choice(WORDINGS), (shot,), (describe(paths[0], sentence), ocr(paths[0], shot)), open_question
    )


def explained_open(rng: Random, paths: tuple[str, ...]) -> Draft:
    return explained(rng, paths, True)


def machine(rng: Random) -> tuple[CameraView, str]:
    shot, _, values = panel(rng)
    return shot, f"The control panel of a machine with {len(values)} dials, displays and a row of switches."


def panel(rng: Random) -> tuple[CameraView, dict[str, Box], dict[str, str]]:
    """The picture, the box of each reading on the canvas, and the readings."""
    metal = rng.choice(("#aeb4b8", "#39424a", "#c9c2ae", "#4d5d53", "#2f3b52"))
    pale = metal in ("#aeb4b8", "#c9c2ae")
    ink = "#1d2226" if pale else "#f0f2f3"
    canvas = Canvas(500, 330, None)
    canvas.rect(0, 0, 499, 329, metal, radius=10, shade="fade")
    for x, y in ((14, 14), (486, 14), (14, 316), (486, 316)):
        canvas.disc(x, y, 6, "#8b8f92", "sphere")
    title = f"{names.brand(rng).upper()} {rng.randint(100, 990)}"
    canvas.text(250, 28, title, 22, ink, "bold", "mm")
    gauges = rng.sample(
        (
            ("Pressure", "bar", 10),
            ("Flow", "l/min", 80),
            ("Temperature", "°C", 120),
            ("Speed", "rpm", 60),
            ("Level", "%", 100),
            ("Current", "A", 40),
        ),
        4,
    )
    values, boxes = {}, {}
    for number, (name, unit, most) in enumerate(gauges):
        x = 70 + number * 120
        reading = rng.randint(1, most * 10 - 10) / 10
        values[name] = f"{reading:.1f}"
        if number < 2:
            _dial(canvas, x, 118, reading / most)
        else:
            canvas.rect(x - 50, 80, x + 50, 150, "#0d1210", "#1f2326", 3, 5)
            canvas.line([(x - 44, 85), (x + 20, 85)], "#ffffff20", 2)
        at = (x, 192) if number < 2 else (x, 115)
        boxes[name] = canvas.text(
            *at,
            f"{reading:.1f} {unit}",
            19,
            ink if number < 2 else "#ff9d3b",
            "mono bold" if number > 1 else "bold",
            "mm",
        )
        canvas.text(x, 218 if number < 2 else 172, name, 16, ink, anchor="mm")
    for number, name in enumerate(rng.sample(("PUMP", "FAN", "LIGHT", "HEAT", "ALARM", "DRAIN"), 4)):
        x, up = 85 + number * 110, rng.random() < 0.5
        canvas.rect(x - 13, 246, x + 13, 288, "#22272b", radius=6)
        canvas.rect(x - 9, 250 if up else 268, x + 9, 266 if up else 284, "#e8e6df", radius=4, shade="fade")
        canvas.disc(x + 26, 266, 6, "#4ed06a" if up else "#5b2a26", "sphere")
        canvas.text(x, 304, name, 16, ink, "bold", "mm")
    return tilted_view(canvas, rng.choice(("concrete", "plaster", "slate")), rng, 0.08), boxes, values


def _dial(canvas: Canvas, x: float, y: float, share: float) -> None:
    canvas.disc(x, y, 54, "#6e7478", "sphere")
    canvas.disc(x, y, 48, "#f7f5ee")
    canvas.arc(Box(x - 40, y - 40, x + 40, y + 40), 330, 405, "#cf3b30", 5)
    for tick in range(11):
        turn = math.radians(135 + 27 * tick)
        inner = 36 if tick % 5 else 31
        canvas.line(
            [
                (x + inner * math.cos(turn), y + inner * math.sin(turn)),
                (x + 42 * math.cos(turn), y + 42 * math.sin(turn)),
            ],
            "#2b2b2b",
            2,
        )
    turn = math.radians(135 + 270 * share)
    canvas.line(
        [
            (x - 8 * math.cos(turn), y - 8 * math.sin(turn)),
            (x + 38 * math.cos(turn), y + 38 * math.sin(turn)),
        ],
        "#b3201b",
        3,
    )
    canvas.disc(x, y, 6, "#33373a", "sphere")


def dosed(rng: Random, paths: tuple[str, ...]) -> Draft:
    """For ocr_calc."""
    shot, _, values = panel(rng)
    name = rng.choice(sorted(values))
    reading, limit, minutes = values[name], rng.randint(12, 95), rng.randint(3, 48)
    query, expression = rng.choice(
        (
            (
                f"The {name.lower()} should rise by {limit}%. At what figure would it be then?",
                f"{reading} * (1 + {limit} / 100)",
            ),
            (f"How far is the {name.lower()} from {limit + 100} right now?", f"{limit + 100} - {reading}"),
            (
                f"Yesterday the {name.lower()} was lower by {minutes}. What was it then?",
                f"{reading} - {minutes}",
            ),
            (
                f"If the {name.lower()} falls to zero in {minutes} minutes, how much is that a minute?",
                f"{reading} / {minutes}",
            ),
        )
    )
    return Draft(
        query,
        (shot,),
        (ocr(paths[0], shot), calculate(expression, "the reading that OCR found, and the query's number")),
    )


def mark_reading(rng: Random, paths: tuple[str, ...]) -> Draft:
    """For circle."""
    shot, boxes, values = panel(rng)
    name = rng.choice(sorted(values))
    number = rng.choice(("the technician", names.person(rng), "our log book"))
    query = rng.choice(
        (
            f"For {number}: frame the {name.lower()} reading and write 'check' on the frame.",
            f"Put a box labelled 'check' around the figure for the {name.lower()}, for {number}.",
        )
    )
    return Draft(query, (shot,), (ocr(paths[0], shot), draw_box(paths[0], shot, boxes[name], "check")))
