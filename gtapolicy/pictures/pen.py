"""A pen that draws on a canvas in an object's own coordinates."""

from __future__ import annotations

from collections.abc import Iterable

from gtapolicy.pictures.canvas import Box, Canvas
from gtapolicy.pictures.shading import Point, Shade


class ObjectPen:
    """Draws an object that stands on the point (x, y) of a canvas.

    In its coordinates the foot is at (0, 0), and one unit is `size` pixels; the top of an object is at about
    y = -1. Radii and the widths of lines are in units; the widths of outlines are in pixels.
    """

    def __init__(self, canvas: Canvas, x: float, y: float, size: float) -> None:
        self.canvas, self.x, self.y, self.size = canvas, x, y, size

    def moved(self, x: float, y: float) -> ObjectPen:
        """A pen of the same size that stands on another point."""
        return ObjectPen(self.canvas, *self.point(x, y), self.size)

    def point(self, x: float, y: float) -> Point:
        """A point in pixels of the canvas."""
        return self.x + x * self.size, self.y + y * self.size

    def points(self, points: Iterable[Point]) -> list[Point]:
        return [self.point(x, y) for x, y in points]

    def box(self, x1: float, y1: float, x2: float, y2: float) -> Box:
        return Box(*self.point(x1, y1), *self.point(x2, y2))

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
    ) -> None:
        self.canvas.rect(*self.box(x1, y1, x2, y2), fill, outline, width, radius * self.size, shade)

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
    ) -> None:
        self.canvas.ellipse(*self.box(x1, y1, x2, y2), fill, outline, width, shade)

    def disc(self, x: float, y: float, r: float, fill: str, shade: Shade = "flat") -> None:
        self.canvas.disc(*self.point(x, y), r * self.size, fill, shade)

    def polygon(self, points: Iterable[Point], fill: str, shade: Shade = "flat") -> None:
        self.canvas.polygon(self.points(points), fill, shade)

    def line(self, points: Iterable[Point], fill: str, width: float) -> None:
        self.canvas.line(self.points(points), fill, width * self.size)
