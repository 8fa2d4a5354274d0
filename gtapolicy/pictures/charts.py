"""Charts with a number at each bar, point or slice, drawn by matplotlib."""

import io
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from PIL import Image

from gtapolicy.pictures.drawing import Box, Drawing, TextLine, check_glyphs, font_folder, union
from gtapolicy.pictures.mistakes import refuse
from gtapolicy.pictures.svg import FACES
from harness.errors import UserError

DPI = 100
# Sizes in points. Labels and numbers are as large as the letters of other documents.
TITLE_SIZE, SIZE = 18, 15
VALUES = "kind title labels numbers colors face background width height".split()
# The texts of a chart: those that OCR reads as one line, such as a label and its number, by the line's name.
Texts = dict[str, list[Any]]


def chart(values: Mapping[str, Any]) -> Drawing:
    """The chart of the values in VALUES. Raises UserError if one is missing, or cannot be drawn."""
    if missing := [name for name in VALUES if name not in values]:
        raise UserError(f"expected the values {', '.join(VALUES)}; got none for {', '.join(missing)}")
    labels, numbers, kind = values["labels"], values["numbers"], values["kind"]
    if kind not in KINDS:
        refuse(kind, f"one of {', '.join(KINDS)}", "kind")
    from matplotlib.figure import Figure
    from matplotlib.font_manager import FontProperties
    from matplotlib.text import Text

    width, height, face = values["width"], values["height"], values["face"]
    # By file, because the machine may have another version of a font with the same name.
    plain, bold = FACES[face][0], FACES[f"{face} bold"][0]
    check_glyphs(values["title"], bold, "title")
    for label in labels:
        check_glyphs(label, plain, "labels")
    if not 1 < len({*labels}) == len(labels):
        refuse(labels, "two or more different labels", "labels")
    if len(numbers) != len(labels) or not all(isinstance(number, (int, float)) for number in numbers):
        refuse(numbers, f"{len(labels)} numbers, one for each label", "numbers")
    figure = Figure((width / DPI, height / DPI), DPI, facecolor=values["background"])
    axes = figure.add_axes((0.08, 0.12, 0.84, 0.7), facecolor=values["background"])
    for side in ("top", "right", "left"):
        axes.spines[side].set_visible(False)
    title = figure.text(0.5, 0.93, values["title"], ha="center", va="center")
    texts = {"title": [title], **KINDS[kind](axes, values)}
    for text in figure.findobj(Text):
        file, size = (bold, TITLE_SIZE) if text is title else (plain, SIZE)
        properties = FontProperties(fname=font_folder() / file, size=size)
        text.set(fontproperties=properties, color="#333333", parse_math=False)
    # The places of texts are known only after a layout.
    figure.draw_without_rendering()
    boxes = {name: union([_box(part, height) for part in parts]) for name, parts in texts.items()}
    lines = [TextLine(" ".join(part.get_text() for part in texts[name]), boxes[name]) for name in texts]

    def paint(scale: float) -> Image.Image:
        painted = io.BytesIO()
        figure.savefig(painted, dpi=DPI * scale, facecolor=values["background"])
        return Image.open(painted).convert("RGBA")

    return Drawing(width, height, lines, {name: [boxes[name]] for name in boxes}, paint)


def _box(text: Any, height: float) -> Box:
    extent = text.get_window_extent()
    return Box(*map(float, (extent.x0, height - extent.y1, extent.x1, height - extent.y0)))


def _bars(axes: Any, values: Mapping[str, Any]) -> Texts:
    bars = axes.bar(values["labels"], values["numbers"], width=0.62, color=values["colors"][0], zorder=2)
    written = axes.bar_label(bars, padding=3)
    _plain_axes(axes, "y")
    return _labels_and_numbers(axes, values, written)


def _horizontal_bars(axes: Any, values: Mapping[str, Any]) -> Texts:
    axes.set_position((0.22, 0.05, 0.68, 0.78))
    bars = axes.barh(values["labels"], values["numbers"], height=0.62, color=values["colors"][1], zorder=2)
    written = axes.bar_label(bars, padding=4)
    axes.invert_yaxis()
    _plain_axes(axes, "x")
    axes.spines["bottom"].set_visible(False)
    axes.spines["left"].set_visible(True)
    texts = zip(values["labels"], axes.get_yticklabels(), written, strict=True)
    return {label: [tick, number] for label, tick, number in texts}


def _line(axes: Any, values: Mapping[str, Any]) -> Texts:
    from matplotlib.patheffects import withStroke

    style = {"linewidth": 2.6, "marker": "o", "markerfacecolor": "white", "zorder": 2}
    axes.plot(values["labels"], values["numbers"], color=values["colors"][2], **style)
    beside = {"xytext": (0, 9), "textcoords": "offset points", "ha": "center", "zorder": 3}
    halo = [withStroke(linewidth=4, foreground="w")]
    points = enumerate(values["numbers"])
    written = [axes.annotate(str(point[1]), point, path_effects=halo, **beside) for point in points]
    _plain_axes(axes, "y")
    axes.margins(x=0.09, y=0.2)
    return _labels_and_numbers(axes, values, written)


def _pie(axes: Any, values: Mapping[str, Any]) -> Texts:
    """A pie chart with a legend on the right."""
    axes.set_position((0.02, 0.04, 0.58, 0.8))
    style = {"startangle": 90, "counterclock": False, "wedgeprops": {"edgecolor": "white", "linewidth": 1.6}}
    slices, *_ = axes.pie(values["numbers"], colors=values["colors"], **style)
    entries = [f"{label} {number}" for label, number in zip(values["labels"], values["numbers"], strict=True)]
    beside = {"loc": "center left", "bbox_to_anchor": (1.0, 0.5), "frameon": False}
    legend = axes.legend(slices, entries, **beside)
    return {label: [text] for label, text in zip(values["labels"], legend.get_texts(), strict=True)}


def _plain_axes(axes: Any, numbers: str) -> None:
    """Only grid lines on the axis of the numbers, because each number is written in the chart."""
    axes.grid(axis=numbers, color="#dddddd", zorder=0)
    axes.tick_params(length=0, **{f"label{'left' if numbers == 'y' else 'bottom'}": False})


def _labels_and_numbers(axes: Any, values: Mapping[str, Any], written: Sequence[Any]) -> Texts:
    names = [*values["labels"], *(f"number of {label}" for label in values["labels"])]
    return {name: [text] for name, text in zip(names, [*axes.get_xticklabels(), *written], strict=True)}


Draw = Callable[[Any, Mapping[str, Any]], Texts]
KINDS: dict[str, Draw] = {"bar": _bars, "barh": _horizontal_bars, "line": _line, "pie": _pie}
