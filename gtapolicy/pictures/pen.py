"""A pen that adds shapes to a drawing, in its own coordinate system."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypedDict, Unpack

from PIL import Image, ImageDraw

from gtapolicy.pictures.shading import PaintShape, Point, Shade, ToMask, paint_shape


class Box(NamedTuple):
    """An upright rectangle: left, top, right, bottom."""

    x1: float
    y1: float
    x2: float
    y2: float

    @property
    def center(self) -> Point:
        return (self.x1 + self.x2) / 2, (self.y1 + self.y2) / 2

    def grown(self, by: float) -> Box:
        return Box(self.x1 - by, self.y1 - by, self.x2 + by, self.y2 + by)


def union(boxes: Iterable[Box]) -> Box:
    x1, y1, x2, y2 = zip(*boxes, strict=True)
    return Box(min(x1), min(y1), max(x2), max(y2))


def bounds(points: Iterable[Point]) -> Box:
    return union(Box(x, y, x, y) for x, y in points)


class Mark(NamedTuple):
    # In pixels of the canvas.
    box: Box
    # Paints the mark on an image of the canvas, given the scale of the image.
    paint: Callable[[Image.Image, float], None]


class Style(TypedDict, total=False):
    # The color of the outline; "" for none.
    outline: str
    # In pixels.
    outline_width: float
    # How light falls on the inside.
    shade: Shade


class Pen:
    """Adds marks to a canvas. The pen's origin is the point (x, y) of the canvas, its unit is `size` pixels.

    Line widths and corner radii are also in the pen's units. A fill of "" leaves the inside empty. All shapes
    return their box in pixels of the canvas.
    """

    def __init__(self, marks: list[Mark], x: float = 0, y: float = 0, size: float = 1) -> None:
        self.marks, self.x, self.y, self.size = marks, x, y, size

    def mark(self, box: Box, paint: Callable[[Image.Image, float], None]) -> Box:
        self.marks.append(Mark(box, paint))
        return box

    def bounds_since(self, start: int) -> Box:
        """The box around all marks from index `start` to the end."""
        return union(mark.box for mark in self.marks[start:])

    def at(self, x: float, y: float, size: float = 1) -> Pen:
        """A pen whose origin is this point and whose unit is `size` units of this pen."""
        return Pen(self.marks, *self.point(x, y), self.size * size)

    @property
    def in_pixels(self) -> Pen:
        """A pen in canvas pixels, for details that have the same size on small and on large objects."""
        return Pen(self.marks)

    def point(self, x: float, y: float) -> Point:
        """In pixels of the canvas."""
        return self.x + x * self.size, self.y + y * self.size

    def points(self, points: Iterable[Point]) -> list[Point]:
        return [self.point(x, y) for x, y in points]

    def box(self, x1: float, y1: float, x2: float, y2: float) -> Box:
        return Box(*self.point(x1, y1), *self.point(x2, y2))

    def rect(
        self, x1: float, y1: float, x2: float, y2: float, fill: str, radius: float = 0, **style: Unpack[Style]
    ) -> Box:
        box, radius = self.box(x1, y1, x2, y2), radius * self.size

        def paint(pen: ImageDraw.ImageDraw, place: ToMask, scale: float, **how: int) -> None:
            pen.rounded_rectangle(place([box[:2], box[2:]]), radius * scale, corners=None, **how)

        return self._shape(box, paint, fill, **style)

    def ellipse(self, x1: float, y1: float, x2: float, y2: float, fill: str, **style: Unpack[Style]) -> Box:
        box = self.box(x1, y1, x2, y2)

        def paint(pen: ImageDraw.ImageDraw, place: ToMask, _: float, **how: int) -> None:
            pen.ellipse(place([box[:2], box[2:]]), **how)

        return self._shape(box, paint, fill, **style)

    def disc(self, x: float, y: float, r: float, fill: str, shade: Shade = "flat") -> Box:
        # Computed in pixels; otherwise rounding would make the disc oval.
        (x, y), r = self.point(x, y), r * self.size
        return self.in_pixels.ellipse(x - r, y - r, x + r, y + r, fill, shade=shade)

    def pie(self, ellipse: Sequence[float], start: float, end: float, fill: str, outline: str = "") -> Box:
        """A slice of the ellipse inscribed in a box. Angles are in degrees, clockwise from three o'clock."""
        box = self.box(*ellipse)

        def paint(pen: ImageDraw.ImageDraw, place: ToMask, _: float, **how: int) -> None:
            pen.pieslice(place([box[:2], box[2:]]), start, end, **how)

        return self._shape(box, paint, fill, outline=outline, outline_width=1.5)

    def arc(self, ellipse: Sequence[float], start: float, end: float, fill: str, width: float) -> Box:
        """A part of the outline of the ellipse inscribed in a box; angles as in `pie`."""
        box, width = self.box(*ellipse), width * self.size

        def paint(pen: ImageDraw.ImageDraw, place: ToMask, scale: float, **how: int) -> None:
            pen.arc(place([box[:2], box[2:]]), start, end, width=max(1, round(width * scale)), **how)

        return self._shape(box, paint, fill)

    def polygon(self, points: Iterable[Point], fill: str, shade: Shade = "flat") -> Box:
        corners = self.points(points)

        def paint(pen: ImageDraw.ImageDraw, place: ToMask, _: float, **how: int) -> None:
            pen.polygon(place(corners), **how)

        return self._shape(bounds(corners), paint, fill, shade=shade)

    def line(self, points: Iterable[Point], fill: str, width: float = 1) -> Box:
        path, width = self.points(points), width * self.size

        def paint(pen: ImageDraw.ImageDraw, place: ToMask, scale: float, **how: int) -> None:
            placed, thick = place(path), max(1, round(width * scale))
            pen.line(placed, width=thick, joint="curve", **how)
            # Pillow draws square ends; add round ends to thick lines.
            for x, y in (placed[0], placed[-1]) if thick > 3 else ():
                pen.ellipse((x - thick / 2, y - thick / 2, x + thick / 2, y + thick / 2), **how)

        return self._shape(bounds(path).grown(width / 2), paint, fill)

    def _shape(
        self,
        box: Box,
        paint: PaintShape,
        fill: str,
        outline: str = "",
        outline_width: float = 1,
        shade: Shade = "flat",
    ) -> Box:
        shape = functools.partial(paint_shape, box=box, paint=paint)
        if fill:
            self.mark(box, functools.partial(shape, color=fill, shade=shade))
        if outline:
            self.mark(box, functools.partial(shape, color=outline, outline_width=outline_width))
        return box
