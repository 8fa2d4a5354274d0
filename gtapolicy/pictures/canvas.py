"""A drawing as a list of marks: boxes and texts are known at once, pixels are made when asked for.

Coordinates are pixels of the finished picture, x to the right and y down; a mark draws itself at any scale.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFilter, ImageFont

Point = tuple[float, float]
Shade = Literal["flat", "ball", "side", "down"]
Mark = Callable[[Image.Image, float], None]
At = Callable[[Sequence[Point]], list[Point]]
"""From points of the canvas to those of a stencil."""
Paint = Callable[..., None]
"""Called with a pen, an At, the scale, and fill or outline and width as Pillow names them: paints a shape."""

FACES = {
    "sans": "DejaVuSans.ttf",
    "bold": "DejaVuSans-Bold.ttf",
    "slanted": "DejaVuSans-Oblique.ttf",
    "serif": "DejaVuSerif.ttf",
    "serif bold": "DejaVuSerif-Bold.ttf",
    "serif italic": "DejaVuSerif-Italic.ttf",
    "mono": "DejaVuSansMono.ttf",
    "mono bold": "DejaVuSansMono-Bold.ttf",
    "book": "STIXGeneral.ttf",
    "book bold": "STIXGeneralBol.ttf",
    "book italic": "STIXGeneralItalic.ttf",
}
"""Fonts that matplotlib ships: the same glyphs on every machine."""


class Box(NamedTuple):
    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def centre(self) -> Point:
        return (self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2

    def grown(self, by: float) -> Box:
        return Box(self.x1 - by, self.y1 - by, self.x2 + by, self.y2 + by)


def union(boxes: Iterable[Box]) -> Box:
    x1, y1, x2, y2 = zip(*boxes, strict=True)
    return Box(min(x1), min(y1), max(x2), max(y2))


@dataclass(frozen=True, slots=True)
class Line:
    """A line of text as a reader finds it."""

    text: str
    box: Box


@functools.cache
def font(face: str, size: float) -> ImageFont.FreeTypeFont:
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / FACES[face]
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


class Canvas:
    """Marks in order, the box of each, and the lines of text among them."""

    def __init__(self, width: int, height: int, ground: str | None = "#ffffff") -> None:
        self.width, self.height, self.ground = width, height, ground
        self.marks: list[Mark] = []
        self.boxes: list[Box] = []
        self.lines: list[Line] = []

    def mark(self, box: Box, mark: Mark) -> Box:
        self.marks.append(mark)
        self.boxes.append(box)
        return box

    def since(self, start: int) -> Box:
        """What the marks from this number on cover."""
        return union(self.boxes[start:])

    def image(self, scale: float = 1) -> Image.Image:
        size = round(self.width * scale), round(self.height * scale)
        image = Image.new("RGBA", size, self.ground or (0, 0, 0, 0))
        for mark in self.marks:
            mark(image, scale)
        return image

    def text(
        self,
        x: float,
        y: float,
        text: str,
        size: float,
        fill: str = "#222222",
        face: str = "sans",
        anchor: str = "la",
        read: bool = True,
    ) -> Box:
        """Anchored as in Pillow (la: left and ascender, mm: middle); read adds it to the lines."""
        measured = font(face, 4 * size).getbbox(text, anchor=anchor)
        x1, y1, x2, y2 = (value / 4 for value in measured)
        box = Box(x + x1, y + y1, x + x2, y + y2)

        def draw(image: Image.Image, scale: float) -> None:
            pen = ImageDraw.Draw(image)
            pen.text((x * scale, y * scale), text, fill, font(face, size * scale), anchor)

        if read:
            self.lines.append(Line(text, box))
        return self.mark(box, draw)

    def reads(self, text: str, boxes: Sequence[Box]) -> Box:
        """Texts side by side that a reader takes for one line."""
        self.lines.append(Line(text, union(boxes)))
        return self.lines[-1].box

    def rect(
        self,
        x1: float,
        y1: float,
        x2: float,
        y2: float,
        fill: str | None,
        outline: str | None = None,
        width: float = 1,
        radius: float = 0,
        shade: Shade = "flat",
    ) -> Box:
        def paint(pen: ImageDraw.ImageDraw, at: At, scale: float, **how: int) -> None:
            pen.rounded_rectangle(at([(x1, y1), (x2, y2)]), radius * scale, corners=None, **how)

        return self._shape(Box(x1, y1, x2, y2), paint, fill, outline, width, shade)

    def ellipse(
        self,
        x1: float,
        y1: float,
        x2: float,
        y2: float,
        fill: str | None,
        outline: str | None = None,
        width: float = 1,
        shade: Shade = "flat",
    ) -> Box:
        def paint(pen: ImageDraw.ImageDraw, at: At, _: float, **how: int) -> None:
            pen.ellipse(at([(x1, y1), (x2, y2)]), **how)

        return self._shape(Box(x1, y1, x2, y2), paint, fill, outline, width, shade)

    def disc(self, x: float, y: float, r: float, fill: str | None, shade: Shade = "flat") -> Box:
        return self.ellipse(x - r, y - r, x + r, y + r, fill, shade=shade)

    def pie(self, box: Box, start: float, end: float, fill: str, outline: str | None = None) -> Box:
        """From start to end in degrees, clockwise from three o'clock."""

        def paint(pen: ImageDraw.ImageDraw, at: At, _: float, **how: int) -> None:
            pen.pieslice(at([(box.x1, box.y1), (box.x2, box.y2)]), start, end, **how)

        return self._shape(box, paint, fill, outline, 1.5, "flat")

    def arc(self, box: Box, start: float, end: float, fill: str, width: float) -> Box:
        def paint(pen: ImageDraw.ImageDraw, at: At, scale: float, **how: int) -> None:
            corners = at([(box.x1, box.y1), (box.x2, box.y2)])
            pen.arc(corners, start, end, width=max(1, round(width * scale)), **how)

        return self._shape(box, paint, fill, None, 0, "flat")

    def polygon(self, points: Sequence[Point], fill: str, shade: Shade = "flat") -> Box:
        def paint(pen: ImageDraw.ImageDraw, at: At, _: float, **how: int) -> None:
            pen.polygon(at(points), **how)

        return self._shape(union(Box(x, y, x, y) for x, y in points), paint, fill, None, 0, shade)

    def line(self, points: Sequence[Point], fill: str, width: float = 1) -> Box:
        def paint(pen: ImageDraw.ImageDraw, at: At, scale: float, **how: int) -> None:
            placed, thick = at(points), max(1, round(width * scale))
            pen.line(placed, width=thick, joint="curve", **how)
            for x, y in (placed[0], placed[-1]) if thick > 3 else ():
                pen.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), **how)

        box = union(Box(x, y, x, y) for x, y in points).grown(width / 2)
        return self._shape(box, paint, fill, None, 0, "flat")

    def stamp(self, other: Canvas, x: float, y: float, degrees: float = 0) -> Box:
        """Another canvas, turned clockwise about its centre, which comes to lie at x, y. Not read."""
        turn = math.radians(degrees)
        half_w = (abs(other.width * math.cos(turn)) + abs(other.height * math.sin(turn))) / 2
        half_h = (abs(other.width * math.sin(turn)) + abs(other.height * math.cos(turn))) / 2

        def draw(image: Image.Image, scale: float) -> None:
            turned = other.image(scale).rotate(-degrees, Image.Resampling.BICUBIC, expand=True)
            corner = round(x * scale - turned.width / 2), round(y * scale - turned.height / 2)
            _over(image, turned, corner)

        return self.mark(Box(x - half_w, y - half_h, x + half_w, y + half_h), draw)

    def picture(self, box: Box, load: Callable[[], Image.Image]) -> Box:
        """Another image, loaded when it is drawn and stretched over the box."""

        def draw(image: Image.Image, scale: float) -> None:
            x1, y1, x2, y2 = (round(value * scale) for value in box)
            image.paste(load().convert("RGB").resize((x2 - x1, y2 - y1), Image.Resampling.LANCZOS), (x1, y1))

        return self.mark(box, draw)

    def shadow(self, x1: float, y1: float, x2: float, y2: float, strength: float = 0.4) -> None:
        """A soft dark ellipse under a thing; it belongs to no thing, so its box is a point."""
        box = Box(x1, y1, x2, y2)
        blur = max(1.5, (y2 - y1) / 4)
        around = box.grown(2 * blur)

        def draw(image: Image.Image, scale: float) -> None:
            # A quarter of the resolution is enough for what is blurred.
            scale_ = scale / 4
            size = [max(1, round(s * scale_)) for s in (around.x2 - around.x1, around.y2 - around.y1)]
            mask = Image.new("L", (size[0], size[1]))
            inner = [
                2 * blur * scale_,
                2 * blur * scale_,
                size[0] - 2 * blur * scale_,
                size[1] - 2 * blur * scale_,
            ]
            ImageDraw.Draw(mask).ellipse(inner, round(255 * strength))
            mask = mask.filter(ImageFilter.GaussianBlur(blur * scale_))
            dark = Image.new("RGBA", mask.size, "#1c1610")
            dark.putalpha(mask)
            full = dark.resize((size[0] * 4, size[1] * 4), Image.Resampling.BICUBIC)
            _over(image, full, (round(around.x1 * scale), round(around.y1 * scale)))

        x, y = box.centre
        self.mark(Box(x, y, x, y), draw)

    def gradient(self, x1: float, y1: float, x2: float, y2: float, top: str, bottom: str) -> Box:
        box = Box(x1, y1, x2, y2)

        def draw(image: Image.Image, scale: float) -> None:
            left, upper, right, lower = (round(value * scale) for value in box)
            ramp = np.linspace(0, 1, max(lower - upper, 1))[:, None]
            rows = (1 - ramp) * np.array(ImageColor.getrgb(top)) + ramp * np.array(ImageColor.getrgb(bottom))
            strip = Image.fromarray(rows.round().astype(np.uint8)[:, None, :])
            image.paste(strip.resize((right - left, strip.height)), (left, upper))

        return self.mark(box, draw)

    def _shape(
        self, box: Box, paint: Paint, fill: str | None, outline: str | None, width: float, shade: Shade
    ) -> Box:
        """A shape filled with a lit colour, and its outline; each may be missing or translucent."""
        if fill is not None:

            def inside(image: Image.Image, scale: float) -> None:
                _coloured(image, box, scale, fill, shade, lambda pen, at: paint(pen, at, scale, fill=255))

            self.mark(box, inside)
        if outline is not None:

            def border(image: Image.Image, scale: float) -> None:
                how = {"outline": 255, "width": max(1, round(width * scale))}
                _coloured(image, box, scale, outline, "flat", lambda pen, at: paint(pen, at, scale, **how))

            self.mark(box, border)
        return box


def _over(image: Image.Image, layer: Image.Image, corner: tuple[int, int]) -> None:
    """Alpha-composites a layer that may stick out of the image."""
    x, y = corner
    cut = (max(0, -x), max(0, -y), min(layer.width, image.width - x), min(layer.height, image.height - y))
    if cut[0] < cut[2] and cut[1] < cut[3]:
        image.alpha_composite(layer.crop(cut), (max(0, x), max(0, y)))


def _coloured(
    image: Image.Image,
    box: Box,
    scale: float,
    fill: str,
    shade: Shade,
    cut: Callable[[ImageDraw.ImageDraw, At], None],
) -> None:
    """Lays a colour over an image through a stencil that is cut for it."""
    left, upper = math.floor(box.x1 * scale), math.floor(box.y1 * scale)
    size = math.ceil(box.x2 * scale) - left + 1, math.ceil(box.y2 * scale) - upper + 1
    stencil = Image.new("L", size)
    cut(ImageDraw.Draw(stencil), lambda points: [(x * scale - left, y * scale - upper) for x, y in points])
    red, green, blue, alpha = ImageColor.getcolor(fill, "RGBA")  # type: ignore[misc]
    if alpha < 255:
        stencil = stencil.point(lambda value: value * alpha // 255)
    layer = _lit((red, green, blue), *size, shade)
    layer.putalpha(stencil)
    _over(image, layer, (left, upper))


def _lit(colour: tuple[int, int, int], width: int, height: int, shade: Shade) -> Image.Image:
    """A colour on a flat, round or upright-cylinder surface, or darkening downward; lit from the left."""
    if shade == "flat":
        return Image.new("RGB", (width, height), colour)
    u = np.linspace(-1, 1, width)[None, :, None]
    v = np.linspace(-1, 1, height)[:, None, None]
    shine: np.ndarray | float = 0.0
    if shade == "down":
        bright = 1.08 - 0.16 * (v + 1) / 2 + 0 * u
    else:
        tilt = v if shade == "ball" else 0 * v
        facing = np.maximum(
            0, -0.45 * u - 0.5 * tilt + 0.74 * np.sqrt(np.maximum(0, 1 - u * u - tilt * tilt))
        )
        bright = 0.5 + 0.62 * facing
        shine = 150 * facing**28 if shade == "ball" else 60 * facing**14
    return Image.fromarray(np.clip(np.array(colour) * bright + shine, 0, 255).astype(np.uint8))
