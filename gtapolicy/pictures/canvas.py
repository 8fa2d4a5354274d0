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
        return self._shape("rounded_rectangle", Box(x1, y1, x2, y2), fill, shade, outline, width, radius)

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
        return self._shape("ellipse", Box(x1, y1, x2, y2), fill, shade, outline, width)

    def disc(self, x: float, y: float, r: float, fill: str | None, shade: Shade = "flat") -> Box:
        return self.ellipse(x - r, y - r, x + r, y + r, fill, shade=shade)

    def pie(self, box: Box, start: float, end: float, fill: str, outline: str | None = None) -> Box:
        """From start to end in degrees, clockwise from three o'clock."""

        def draw(image: Image.Image, scale: float) -> None:
            corners = [value * scale for value in box]
            ImageDraw.Draw(image).pieslice(corners, start, end, fill, outline, round(scale * 1.5))

        return self.mark(box, draw)

    def arc(self, box: Box, start: float, end: float, fill: str, width: float) -> Box:
        def draw(image: Image.Image, scale: float) -> None:
            corners = [value * scale for value in box]
            ImageDraw.Draw(image).arc(corners, start, end, fill, max(1, round(width * scale)))

        return self.mark(box, draw)

    def polygon(self, points: Sequence[Point], fill: str, shade: Shade = "flat") -> Box:
        box = union(Box(x, y, x, y) for x, y in points)

        def stencil(pen: ImageDraw.ImageDraw, scale: float, x: float, y: float) -> None:
            pen.polygon([((px - x) * scale, (py - y) * scale) for px, py in points], fill=255)

        return self.mark(box, _filled(box, stencil, fill, shade))

    def line(self, points: Sequence[Point], fill: str, width: float = 1) -> Box:
        def draw(image: Image.Image, scale: float) -> None:
            pen, thick = ImageDraw.Draw(image), max(1, round(width * scale))
            scaled = [(x * scale, y * scale) for x, y in points]
            pen.line(scaled, fill, thick, joint="curve")
            for x, y in (scaled[0], scaled[-1]) if thick > 3 else ():
                pen.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), fill)

        return self.mark(union(Box(x, y, x, y) for x, y in points).grown(width / 2), draw)

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
        self,
        form: str,
        box: Box,
        fill: str | None,
        shade: Shade,
        outline: str | None,
        width: float,
        radius: float = 0,
    ) -> Box:
        def border(image: Image.Image, scale: float) -> None:
            more = {"radius": radius * scale} if radius else {}
            corners = [value * scale for value in box]
            thick = max(1, round(width * scale))
            shape = form if radius or form == "ellipse" else "rectangle"
            getattr(ImageDraw.Draw(image), shape)(corners, outline=outline, width=thick, **more)

        def stencil(pen: ImageDraw.ImageDraw, scale: float, x: float, y: float) -> None:
            more = {"radius": radius * scale} if radius else {}
            shape = form if radius or form == "ellipse" else "rectangle"
            corners = [0, 0, (box.x2 - box.x1) * scale, (box.y2 - box.y1) * scale]
            getattr(pen, shape)([corners[0] + (box.x1 - x) * scale, *corners[1:]], fill=255, **more)

        if fill is not None:
            self.mark(box, _filled(box, stencil, fill, shade))
        if outline is not None:
            self.mark(box, border)
        return box


def _over(image: Image.Image, layer: Image.Image, corner: tuple[int, int]) -> None:
    """Alpha-composites a layer that may stick out of the image."""
    x, y = corner
    cut = (max(0, -x), max(0, -y), min(layer.width, image.width - x), min(layer.height, image.height - y))
    if cut[0] < cut[2] and cut[1] < cut[3]:
        image.alpha_composite(layer.crop(cut), (max(0, x), max(0, y)))


def _filled(
    box: Box, stencil: Callable[[ImageDraw.ImageDraw, float, float, float], None], fill: str, shade: Shade
) -> Mark:
    """A mark that fills a shape with a colour, lit from the upper left."""

    def draw(image: Image.Image, scale: float) -> None:
        width = max(1, math.ceil((box.x2 - box.x1) * scale) + 1)
        height = max(1, math.ceil((box.y2 - box.y1) * scale) + 1)
        mask = Image.new("L", (width, height))
        stencil(ImageDraw.Draw(mask), scale, box.x1, box.y1)
        colour = ImageColor.getcolor(fill, "RGBA")
        if isinstance(colour, tuple) and colour[3] < 255:
            mask = mask.point(lambda value: value * colour[3] // 255)
        layer = Image.fromarray(_lit(ImageColor.getrgb(fill)[:3], width, height, shade))
        layer.putalpha(mask)
        _over(image, layer, (round(box.x1 * scale), round(box.y1 * scale)))

    return draw


def _lit(colour: Sequence[int], width: int, height: int, shade: Shade) -> np.ndarray:
    """Pixels (height, width, 3) of a colour on a flat, round, upright-cylinder or downward-darkening surface."""
    u = np.linspace(-1, 1, width)[None, :]
    v = np.linspace(-1, 1, height)[:, None]
    if shade == "flat":
        bright, shine = np.ones((height, width)), 0.0
    elif shade == "down":
        bright, shine = np.broadcast_to(1.08 - 0.16 * (v + 1) / 2, (height, width)), 0.0
    else:
        depth = np.sqrt(np.maximum(0, 1 - u * u - (v * v if shade == "ball" else 0)))
        facing = np.maximum(0, -0.45 * u - (0.5 * v if shade == "ball" else 0) + 0.74 * depth)
        bright = np.broadcast_to(0.5 + 0.62 * facing, (height, width))
        shine = 150 * facing**28 if shade == "ball" else 60 * facing**14
    pixels = (
        np.asarray(colour)[None, None, :] * bright[:, :, None]
        + np.broadcast_to(shine, (height, width))[..., None]
    )
    return np.clip(pixels, 0, 255).astype(np.uint8)
