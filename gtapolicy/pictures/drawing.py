"""A drawing: something flat whose texts and boxes are known before a camera takes a picture of it."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from PIL import Image

Point = tuple[float, float]


class Box(NamedTuple):
    """An upright rectangle: left, top, right, bottom."""

    x1: float
    y1: float
    x2: float
    y2: float

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


def font_folder() -> Path:
    """The fonts that are part of matplotlib, so that letters are the same on every machine."""
    import matplotlib

    return Path(matplotlib.get_data_path()) / "fonts" / "ttf"
