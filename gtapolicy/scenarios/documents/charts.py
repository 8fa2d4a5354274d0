"""Charts with printed numbers, and tables that are to be plotted like a given chart."""

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from gtapolicy.pictures.camera import CameraView, frontal_view, tilted_view
from gtapolicy.pictures.canvas import Canvas
from gtapolicy.pictures.pen import Box
from gtapolicy.pictures.surfaces import DESKS
from gtapolicy.scenarios import names
from gtapolicy.scenarios.calls import describe, ocr, plot
from gtapolicy.scenarios.data import calculation, load, phrase
from gtapolicy.scenarios.documents.boards import board
from gtapolicy.scenarios.draft import Draft, read_and_box, read_and_calculate

PALETTES = load("documents/documents.toml", "palettes", list[list[str]])
SUBJECTS = load("documents/documents.toml", "chart_subjects", dict[str, list[str]])
KINDS = {"bar": "bar chart", "barh": "horizontal bar chart", "line": "line chart", "pie": "pie chart"}
INK, GRID, AXIS = "#333333", "#dddddd", "#444444"


@dataclass(frozen=True, slots=True)
class ChartData:
    title: str
    labels: tuple[str, ...]
    # From 12 to 95, all different.
    numbers: tuple[int, ...]

    @property
    def points(self) -> list[tuple[str, int]]:
        return list(zip(self.labels, self.numbers, strict=True))


def chart_data(rng: Random) -> ChartData:
    subject, labels = rng.choice(list(SUBJECTS.items()))
    chosen = sorted(rng.sample(range(len(labels)), rng.randint(4, len(labels))))
    numbers = rng.sample(range(12, 96), len(chosen))
    return ChartData(f"{subject} in {names.town(rng)}", tuple(labels[i] for i in chosen), tuple(numbers))


def chart(rng: Random, data: ChartData, kind: str) -> tuple[CameraView, dict[str, Box]]:
    """A chart with a number at each bar, point or slice. Also returns the box of each label on the canvas."""
    width, height = rng.choice((460, 520)), rng.choice((330, 360))
    canvas = Canvas(width, height, rng.choice(("#ffffff", "#fdfcf8", "#f6f8fa")))
    colors = list(rng.choice(PALETTES))
    rng.shuffle(colors)
    face = rng.choice(("sans", "serif", "sans"))
    title_face = "bold" if face == "sans" else "serif bold"
    canvas.text(width / 2, 26, data.title, 20, "#222222", title_face, "mm")
    draw = {"bar": _bars, "barh": _horizontal_bars, "line": _line, "pie": _pie}[kind]
    boxes = draw(canvas, data, colors, face)
    view = frontal_view(canvas, rng) if rng.random() < 0.4 else tilted_view(canvas, rng.choice(DESKS), rng)
    return view, boxes


def _bars(canvas: Canvas, data: ChartData, colors: Sequence[str], face: str) -> dict[str, Box]:
    left, base, high = 24, canvas.height - 44, canvas.height - 130
    slot = (canvas.width - 2 * left) / len(data.labels)
    for line in range(1, 5):
        y = base - high * line / 4
        canvas.line([(left, y), (canvas.width - left, y)], GRID)
    boxes = {}
    for index, (label, number) in enumerate(data.points):
        x, top = left + slot * (index + 0.5), base - high * number / 100
        canvas.rect(x - slot * 0.32, top, x + slot * 0.32, base, colors[0], shade="fade")
        canvas.text(x, top - 11, str(number), 16, INK, face, "mm")
        boxes[label] = canvas.text(x, base + 16, label, 16, INK, face, "mm")
    canvas.line([(left, base), (canvas.width - left, base)], AXIS, 1.5)
    return boxes


def _horizontal_bars(canvas: Canvas, data: ChartData, colors: Sequence[str], face: str) -> dict[str, Box]:
    left, longest = 118, canvas.width - 190
    slot = (canvas.height - 76) / len(data.labels)
    boxes = {}
    for index, (label, number) in enumerate(data.points):
        y, end = 56 + slot * (index + 0.5), left + longest * number / 100
        canvas.rect(left, y - slot * 0.3, end, y + slot * 0.3, colors[1], shade="fade")
        boxes[label] = canvas.text(left - 8, y, label, 16, INK, face, "rm", is_line=False)
        value = canvas.text(end + 6, y, str(number), 16, INK, face, "lm", is_line=False)
        canvas.add_line(f"{label} {number}", [boxes[label], value])
    canvas.line([(left, 54), (left, canvas.height - 18)], AXIS, 1.5)
    return boxes


def _line(canvas: Canvas, data: ChartData, colors: Sequence[str], face: str) -> dict[str, Box]:
    left, base, high = 40, canvas.height - 46, canvas.height - 136
    slot = (canvas.width - 2 * left) / max(1, len(data.labels) - 1)
    for line in range(5):
        y = base - high * line / 4
        canvas.line([(left - 10, y), (canvas.width - left + 10, y)], GRID)
    points = [(left + slot * index, base - high * number / 100) for index, number in enumerate(data.numbers)]
    canvas.line(points, colors[2], 3)
    boxes = {}
    for (x, y), (label, number) in zip(points, data.points, strict=True):
        canvas.disc(x, y, 5, colors[2])
        canvas.disc(x, y, 2.4, "#ffffff")
        canvas.text(x, y - 16, str(number), 16, INK, face, "mm")
        boxes[label] = canvas.text(x, base + 18, label, 16, INK, face, "mm")
    return boxes


def _pie(canvas: Canvas, data: ChartData, colors: Sequence[str], face: str) -> dict[str, Box]:
    """A pie chart with a legend on the right."""
    radius = (canvas.height - 90) / 2
    x, y = 34 + radius, 60 + radius
    canvas.shadow(x - radius, y + radius * 0.75, x + radius, y + radius * 1.12, 0.25)
    start, total = -90.0, sum(data.numbers)
    boxes = {}
    for index, (label, number) in enumerate(data.points):
        end, color = start + 360 * number / total, colors[index % len(colors)]
        canvas.pie(Box(x - radius, y - radius, x + radius, y + radius), start, end, color, "#ffffff")
        row = 74 + index * 34
        canvas.rect(x + radius + 30, row, x + radius + 46, row + 16, color)
        boxes[label] = canvas.text(x + radius + 54, row + 8, f"{label} {number}", 16, INK, face, "lm")
        start = end
    return boxes


def plot_table(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family table_chart: plot the table in one image as the kind of chart in the other image."""
    kind = rng.choice(sorted(KINDS))
    data, other = chart_data(rng), chart_data(rng)
    rows = [(label, str(number)) for label, number in data.points]
    table = board(rng, "paper", data.title, rows, ("Name", "Number"))
    sample, _ = chart(rng, other, kind)
    images = [
        (table.view, f"A table titled '{data.title}'."),
        (sample, f"A {KINDS[kind]} titled '{other.title}'."),
    ]
    table_path = paths[0]
    if rng.random() >= 0.5:
        images.reverse()
        table_path = paths[1]
    query = phrase(rng, "plot_table")
    labels, numbers = list(data.labels), list(data.numbers)
    draw = {
        "bar": f"plt.bar({labels}, {numbers})",
        "barh": f"plt.barh({labels}, {numbers})",
        "line": f"plt.plot({labels}, {numbers}, marker='o')",
        "pie": f"plt.pie({numbers}, labels={labels})",
    }[kind]
    command = f"import matplotlib.pyplot as plt\n{draw}\nplt.title({data.title!r})\nplt.show()"
    origin = "labels, numbers and title that OCR read; the kind of chart that the description names"
    descriptions = [
        describe(path, sentence, "several") for path, (_, sentence) in zip(paths, images, strict=True)
    ]
    steps = (
        *descriptions,
        ocr(table_path, table.view, "plot-table"),
        plot(table_path, command, origin, "plot-table"),
    )
    return Draft(query, (images[0][0], images[1][0]), steps)


def calculate_with_chart(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family ocr_calc: a share, mean, sum or comparison of the numbers in a chart."""
    data = chart_data(rng)
    view, _ = chart(rng, data, rng.choice(sorted(KINDS)))
    (a, first), (b, second) = rng.sample(data.points, 2)
    values = {"a": a, "b": b, "first": first, "second": second, "count": len(data.numbers)}
    query, expression = calculation(rng, "chart", **values, total=" + ".join(map(str, data.numbers)))
    origin = "the numbers that OCR read in the chart"
    return read_and_calculate(query, paths[0], view, expression, origin)


def mark_extreme(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family circle: the label of the largest or smallest number."""
    data = chart_data(rng)
    view, boxes = chart(rng, data, rng.choice(("bar", "line", "pie")))
    largest = rng.random() < 0.5
    number = max(data.numbers) if largest else min(data.numbers)
    rank = rng.choice(("top", "largest", "highest") if largest else ("bottom", "smallest", "lowest"))
    query = phrase(rng, "mark_extreme", rank=rank)
    return read_and_box(query, paths[0], view, boxes[data.labels[data.numbers.index(number)]], str(number))
