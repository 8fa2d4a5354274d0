"""Charts that show a style, and tables and charts whose numbers one reads."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from gtapolicy.dataset.dialogs import Step
from gtapolicy.pictures.camera import CameraView, frontal_view, tilted_view
from gtapolicy.pictures.canvas import Box, Canvas
from gtapolicy.pictures.surfaces import DESKS
from gtapolicy.scenarios import names
from gtapolicy.scenarios.documents.boards import board
from gtapolicy.scenarios.draft import Draft, calculate, describe, draw_box, made, ocr

PALETTES = (
    ("#3b6fb6", "#e07b39", "#5a9e4b", "#b8404e", "#8463a8", "#8a6a4f", "#d683b4"),
    ("#264653", "#2a9d8f", "#e9c46a", "#f4a261", "#e76f51", "#8ab17d", "#6d597a"),
    ("#5b8c85", "#ecce8e", "#db6551", "#434e52", "#9cb4cc", "#b5838d", "#748cab"),
    ("#1b4f72", "#2e86c1", "#85c1e9", "#f5b041", "#dc7633", "#943126", "#7d6608"),
)
SUBJECTS = (
    ("Bikes rented", "Mon Tue Wed Thu Fri Sat".split()),
    ("Books lent", "Jan Feb Mar Apr May Jun".split()),
    ("Trees planted", "North South East West Centre".split()),
    ("Votes", "Anders Bell Cortez Dahl Egan Frost".split()),
    ("Tonnes recycled", "Glass Paper Metal Plastic Wood".split()),
    ("Visitors", "Museum Castle Zoo Pool Library".split()),
    ("Bread sold", "Rye Wheat Spelt Corn Oat".split()),
    ("Hours of sun", "Mar Apr May Jun Jul Aug".split()),
)
NAMED = {"bar": "bar chart", "barh": "horizontal bar chart", "line": "line chart", "pie": "pie chart"}


@dataclass(frozen=True, slots=True)
class Series:
    title: str
    labels: tuple[str, ...]
    numbers: tuple[int, ...]


def series(rng: Random) -> Series:
    subject, labels = rng.choice(SUBJECTS)
    chosen = sorted(rng.sample(range(len(labels)), rng.randint(4, len(labels))))
    numbers = rng.sample(range(12, 96), len(chosen))
    return Series(f"{subject} in {names.town(rng)}", tuple(labels[i] for i in chosen), tuple(numbers))


def chart(rng: Random, data: Series, kind: str) -> tuple[CameraView, dict[str, Box]]:
    """With the number at each bar, point or slice; the box of each label on the canvas."""
    canvas = Canvas(
        rng.choice((460, 520)), rng.choice((330, 360)), rng.choice(("#ffffff", "#fdfcf8", "#f6f8fa"))
    )
    colours = list(rng.choice(PALETTES))
    rng.shuffle(colours)
    face = rng.choice(("sans", "serif", "sans"))
    canvas.text(
        canvas.width / 2, 26, data.title, 20, "#222222", "bold" if face == "sans" else "serif bold", "mm"
    )
    draw = {"bar": _bars, "barh": _lying_bars, "line": _points, "pie": _slices}[kind]
    boxes = draw(canvas, data, colours, face)
    shot = frontal_view(canvas, rng) if rng.random() < 0.4 else tilted_view(canvas, rng.choice(DESKS), rng)
    return shot, boxes


def _bars(canvas: Canvas, data: Series, colours: Sequence[str], face: str) -> dict[str, Box]:
    left, base, high = 24, canvas.height - 44, canvas.height - 130
    slot = (canvas.width - 2 * left) / len(data.labels)
    for line in range(1, 5):
        canvas.line(
            [(left, base - high * line / 4), (canvas.width - left, base - high * line / 4)], "#dddddd"
        )
    boxes = {}
    for index, (label, number) in enumerate(zip(data.labels, data.numbers, strict=True)):
        x, top = left + slot * (index + 0.5), base - high * number / 100
        canvas.rect(x - slot * 0.32, top, x + slot * 0.32, base, colours[0], shade="fade")
        canvas.text(x, top - 11, str(number), 16, "#333333", face, "mm")
        boxes[label] = canvas.text(x, base + 16, label, 16, "#333333", face, "mm")
    canvas.line([(left, base), (canvas.width - left, base)], "#444444", 1.5)
    return boxes


def _lying_bars(canvas: Canvas, data: Series, colours: Sequence[str], face: str) -> dict[str, Box]:
    left, long = 118, canvas.width - 190
    slot = (canvas.height - 76) / len(data.labels)
    boxes = {}
    for index, (label, number) in enumerate(zip(data.labels, data.numbers, strict=True)):
        y = 56 + slot * (index + 0.5)
        canvas.rect(
            left, y - slot * 0.3, left + long * number / 100, y + slot * 0.3, colours[1], shade="fade"
        )
        row = canvas.text(left - 8, y, label, 16, "#333333", face, "rm", is_line=False)
        value = canvas.text(
            left + long * number / 100 + 6, y, str(number), 16, "#333333", face, "lm", is_line=False
        )
        canvas.add_line(f"{label} {number}", [row, value])
        boxes[label] = row
    canvas.line([(left, 54), (left, canvas.height - 18)], "#444444", 1.5)
    return boxes


def _points(canvas: Canvas, data: Series, colours: Sequence[str], face: str) -> dict[str, Box]:
    left, base, high = 40, canvas.height - 46, canvas.height - 136
    slot = (canvas.width - 2 * left) / max(1, len(data.labels) - 1)
    for line in range(5):
        canvas.line(
            [(left - 10, base - high * line / 4), (canvas.width - left + 10, base - high * line / 4)],
            "#dddddd",
        )
    points = [(left + slot * index, base - high * number / 100) for index, number in enumerate(data.numbers)]
    canvas.line(points, colours[2], 3)
    boxes = {}
    for (x, y), label, number in zip(points, data.labels, data.numbers, strict=True):
        canvas.disc(x, y, 5, colours[2])
        canvas.disc(x, y, 2.4, "#ffffff")
        canvas.text(x, y - 16, str(number), 16, "#333333", face, "mm")
        boxes[label] = canvas.text(x, base + 18, label, 16, "#333333", face, "mm")
    return boxes


def _slices(canvas: Canvas, data: Series, colours: Sequence[str], face: str) -> dict[str, Box]:
    radius = (canvas.height - 90) / 2
    x, y = 34 + radius, 60 + radius
    canvas.shadow(x - radius, y + radius * 0.75, x + radius, y + radius * 1.12, 0.25)
    start, total = -90.0, sum(data.numbers)
    boxes = {}
    for index, (label, number) in enumerate(zip(data.labels, data.numbers, strict=True)):
        end, colour = start + 360 * number / total, colours[index % len(colours)]
        canvas.pie(Box(x - radius, y - radius, x + radius, y + radius), start, end, colour, "#ffffff")
        row = 74 + index * 34
        canvas.rect(x + radius + 30, row, x + radius + 46, row + 16, colour)
        boxes[label] = canvas.text(x + radius + 54, row + 8, f"{label} {number}", 16, "#333333", face, "lm")
        start = end
    return boxes


def tabled(rng: Random, paths: tuple[str, ...]) -> Draft:
    """For table_chart: the numbers of one image in the manner of the other."""
    kind = rng.choice(sorted(NAMED))
    data, other = series(rng), series(rng)
    table = board(
        rng,
        "paper",
        data.title,
        [(a, str(b)) for a, b in zip(data.labels, data.numbers, strict=True)],
        ("Name", "Number"),
    )
    sample, _ = chart(rng, other, kind)
    first = rng.random() < 0.5
    shots, at = ((table.shot, sample), 0) if first else ((sample, table.shot), 1)
    sentences = [f"A table titled '{data.title}'.", f"A {NAMED[kind]} titled '{other.title}'."]
    query = rng.choice(
        (
            "Chart the table's numbers in the same kind of chart as the other picture shows.",
            "I like how the chart is done. Please present my table that way too.",
            "One of these is a list of figures, the other a diagram. Draw the figures as such a diagram.",
            "Turn the numbers on the sheet into a graph of the type that the other image has.",
        )
    )
    labels, numbers = list(data.labels), list(data.numbers)
    drawn = {
        "bar": f"plt.bar({labels}, {numbers})",
        "barh": f"plt.barh({labels}, {numbers})",
        "line": f"plt.plot({labels}, {numbers}, marker='o')",
        "pie": f"plt.pie({numbers}, labels={labels})",
    }[kind]
    command = f"import matplotlib.pyplot as plt\n{drawn}\nplt.title({data.title!r})\nplt.show()"
    origins = {
        "command": "labels, numbers and title that OCR read; the kind of chart that the description names"
    }
    steps = (
        describe(paths[0], sentences[0 if first else 1]),
        describe(paths[1], sentences[1 if first else 0]),
        ocr(paths[at], table.shot),
        Step("Plot", {"command": command}, made(paths[at]), origins=origins),
    )
    return Draft(query, shots, steps)


def reckoned(rng: Random, paths: tuple[str, ...]) -> Draft:
    """For ocr_calc."""
    data = series(rng)
    shot, _ = chart(rng, data, rng.choice(sorted(NAMED)))
    (a, first), (b, second) = rng.sample(list(zip(data.labels, data.numbers, strict=True)), 2)
    total = " + ".join(map(str, data.numbers))
    query, expression = rng.choice(
        (
            (f"How many percent of the whole fall to {a}?", f"{first} / ({total}) * 100"),
            ("What is the average over everything shown in the chart?", f"({total}) / {len(data.numbers)}"),
            (f"How many times the value of {b} does {a} have?", f"{first} / {second}"),
            (f"What do {a} and {b} come to together?", f"{first} + {second}"),
            (
                f"By how many percent does {a} differ from {b}, taking {b} as 100?",
                f"({first} - {second}) / {second} * 100",
            ),
        )
    )
    steps = (ocr(paths[0], shot), calculate(expression, "the numbers that OCR read in the chart"))
    return Draft(query, (shot,), steps)


def mark_extreme(rng: Random, paths: tuple[str, ...]) -> Draft:
    """For circle: the label of the largest or smallest number."""
    data = series(rng)
    shot, boxes = chart(rng, data, rng.choice(("bar", "line", "pie")))
    best = rng.random() < 0.5
    number = max(data.numbers) if best else min(data.numbers)
    word = rng.choice(("top", "largest", "highest") if best else ("bottom", "smallest", "lowest"))
    query = rng.choice(
        (
            f"Box the name with the {word} value in this diagram and write the value on the box.",
            f"Who or what has the {word} number here? Frame its label and annotate it with that number.",
        )
    )
    box = boxes[data.labels[data.numbers.index(number)]]
    return Draft(query, (shot,), (ocr(paths[0], shot), draw_box(paths[0], shot, box, str(number))))
