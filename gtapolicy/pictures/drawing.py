"""A drawing: something flat whose texts and boxes are known before a camera takes a picture of it."""

import functools
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from gtapolicy.pictures.mistakes import CannotShow, refuse
from harness.errors import UserError
from harness.text import short

Point = tuple[float, float]
# The largest drawing, in pixels. There is room for a surface around it.
MOST_WIDTH, MOST_HEIGHT = 600, 1000


class Box(NamedTuple):
    """An upright rectangle: left, top, right, bottom."""

    x1: float
    y1: float
    x2: float
    y2: float

    def overlaps(self, other: "Box") -> bool:
        across = min(self.x2, other.x2) - max(self.x1, other.x1)
        return across > 0 and min(self.y2, other.y2) > max(self.y1, other.y1)

    def __str__(self) -> str:
        """In the notation of the policy."""
        return "({:.0f}, {:.0f}, {:.0f}, {:.0f})".format(*self)


def bounds(points: Iterable[Point]) -> Box:
    x, y = zip(*points, strict=True)
    return Box(min(x), min(y), max(x), max(y))


def union(boxes: Iterable[Box]) -> Box:
    return bounds(point for box in boxes for point in (box[:2], box[2:]))


class TextLine(NamedTuple):
    """A line of text as OCR reports it."""

    text: str
    box: Box


@dataclass(frozen=True, slots=True)
class Drawing:
    """Coordinates are pixels of the drawing at scale 1, x to the right and y down."""

    width: float
    height: float
    lines: Sequence[TextLine]
    # The boxes of what a call can refer to: parts of a scene, all objects of a name, rows of a document.
    boxes: Mapping[str, Sequence[Box]]
    # The RGBA image of the drawing at a scale.
    paint: Callable[[float], Image.Image]


def check(drawing: Drawing) -> None:
    """Raises UserError if a drawing is too large, or if a text is empty, not inside, or covers something.

    Or if the middle of an object is not inside; objects at an edge may be cut.
    """
    width, height, lines = drawing.width, drawing.height, drawing.lines
    if min(width, height) < 1:
        raise UserError(
            "expected a size of at least 1 x 1 pixels; in an SVG, {{ page(width, height) }} sets it"
        )
    if width > MOST_WIDTH or height > MOST_HEIGHT:
        problem = f"a picture of at most {MOST_WIDTH} x {MOST_HEIGHT} pixels, not {width:.0f} x {height:.0f}"
        # How much of the side that is too long each text fills, or how far down it is.
        fills = {
            text: (box.x2 - box.x1) / width if width > MOST_WIDTH else box.y2 / height for text, box in lines
        }
        largest = max(fills, key=fills.__getitem__, default="")
        if fills.get(largest, 0) < 0.5:
            raise UserError(f"expected {problem}; its template sets the size")
        refuse(largest, f"shorter or fewer texts, for {problem}")

    boxes = [box for boxes in drawing.boxes.values() for box in boxes]
    for text, box in lines:
        if not text.strip():
            refuse(text, "texts that are not empty")
        inside = min(box.x1, box.y1) >= 0 and box.x2 <= width and box.y2 <= height
        if not inside or any(box != other and box.overlaps(other) for other in boxes):
            refuse(text, "a shorter text, which is inside of the picture and covers nothing")
    for name, of_name in drawing.boxes.items():
        for box in of_name:
            if not (0 <= box.x1 + box.x2 <= 2 * width and 0 <= box.y1 + box.y2 <= 2 * height):
                raise UserError(
                    f"expected {name!r} inside of the {width:.0f} x {height:.0f} pixels, got {box}"
                )


def font_folder() -> Path:
    """The fonts that are part of matplotlib, so that letters are the same on every machine."""
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf"


def check_glyphs(text: object, file: str, key: str = "") -> None:
    """Raises CannotShow if a font lacks a character of the text, which would be painted as a box.

    `key` is that of the value from which the text comes, if it is known.
    """
    if not isinstance(text, str):
        refuse(text, "a text", key)
    if missing := [character for character in text if ord(character) not in _characters(file)]:
        name = unicodedata.name(missing[0], "a control character")
        expected = f"characters of the font {Path(file).stem}, which has no {missing[0]!r} ({name})"
        raise CannotShow(f"expected {expected}, got {short(repr(text), 80)}", missing[0])


@functools.cache
def _characters(file: str) -> Mapping[int, int]:
    """The characters of a font of matplotlib."""
    from matplotlib.ft2font import FT2Font

    return FT2Font(font_folder() / file).get_charmap()
