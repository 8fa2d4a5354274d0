"""A canvas as a camera sees it: lying askew on a ground, lit from one side, with the grain of a sensor."""

from __future__ import annotations

import random
from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from gtapolicy.pictures.canvas import Box, Canvas, Line, Point, union
from gtapolicy.pictures.grounds import DESKS, ground_texture
from gtapolicy.pictures.props import desk_things

WIDEST = 640
"""Pixels."""
SHARP = 2
"""How many times finer than the picture a canvas is drawn, so that its edges are smooth."""


class Shot:
    """Where things of a canvas are in the picture, and the picture itself."""

    def __init__(
        self,
        canvas: Canvas,
        size: tuple[int, int],
        corners: Sequence[Point],
        ground: str,
        seed: int,
        around: Canvas | None = None,
    ) -> None:
        """Corners: where the canvas's upper left, upper right, lower right and lower left come to lie.

        Around: what else lies on the ground, under the canvas, in pixels of the picture.
        """
        self.canvas, self.size, self.corners = canvas, size, corners
        self.ground, self.seed, self.around = ground, seed, around
        self._matrix = _homography(canvas.width, canvas.height, corners)

    def box(self, box: Box) -> Box:
        """The upright box, in whole pixels of the picture, around a box of the canvas."""
        points = [self._point(x, y) for x in (box.x1, box.x2) for y in (box.y1, box.y2)]
        around = union(Box(x, y, x, y) for x, y in points)
        width, height = self.size
        return Box(
            max(0, round(around.x1)),
            max(0, round(around.y1)),
            min(width, round(around.x2)),
            min(height, round(around.y2)),
        )

    @property
    def lines(self) -> list[Line]:
        """Lines of text, as a reader finds them: from top to bottom, then from left to right."""
        found = [Line(line.text, self.box(line.box)) for line in self.canvas.lines]
        return sorted(found, key=lambda line: (round(line.box.centre[1] / 8), line.box.x1))

    def image(self) -> Image.Image:
        noise = np.random.default_rng(self.seed)
        drawn = self.canvas.image(SHARP)
        if self.ground:
            drawn = self._laid(drawn, noise)
        small = drawn.convert("RGB").reduce(SHARP).filter(ImageFilter.GaussianBlur(0.35))
        return _exposed(small, noise)

    def _laid(self, flat: Image.Image, noise: np.random.Generator) -> Image.Image:
        width, height = (side * SHARP for side in self.size)
        scene = ground_texture(self.ground, width, height, noise).convert("RGBA")
        if self.around:
            scene.alpha_composite(self.around.image(SHARP))
        outline = [(x * SHARP, y * SHARP) for x, y in self.corners]
        shade = Image.new("L", (width // 4, height // 4))
        ImageDraw.Draw(shade).polygon([(x / 4 + 3, y / 4 + 4) for x, y in outline], fill=130)
        dark = Image.new("RGBA", (width, height), "#140f0a")
        dark.putalpha(shade.filter(ImageFilter.GaussianBlur(4)).resize((width, height)))
        scene.alpha_composite(dark)
        back = np.linalg.inv(np.diag([SHARP, SHARP, 1]) @ self._matrix @ np.diag([1 / SHARP, 1 / SHARP, 1]))
        coefficients = (back / back[2, 2]).ravel()[:8]
        seen = flat.transform(
            (width, height), Image.Transform.PERSPECTIVE, list(coefficients), Image.Resampling.BILINEAR
        )
        scene.alpha_composite(seen)
        return scene

    def _point(self, x: float, y: float) -> Point:
        a, b, c, d, e, f, g, h, _ = self._matrix.ravel().tolist()
        depth = g * x + h * y + 1
        return (a * x + b * y + c) / depth, (d * x + e * y + f) / depth


def straight(canvas: Canvas, rng: random.Random) -> Shot:
    """The canvas fills the picture."""
    width, height = canvas.width, canvas.height
    corners = [(0, 0), (width, 0), (width, height), (0, height)]
    return Shot(canvas, (width, height), corners, "", rng.getrandbits(32))


def laid(canvas: Canvas, ground: str, rng: random.Random, margin: float = 0.06) -> Shot:
    """The canvas as a sheet on a ground, seen slightly askew; the margin as a share of its shorter side.

    On a desk there may be other things beside it.
    """
    width, height = canvas.width, canvas.height
    props = ground in DESKS and rng.random() < 0.45
    edge = min((0.17 if props else margin) * min(width, height) + 8, (WIDEST - width) / 2)
    size = round(width + 2 * edge), round(height + 2 * edge)
    turn, skew = rng.uniform(-0.05, 0.05), rng.uniform(0.004, 0.02)
    corners = []
    for x, y in ((0, 0), (1, 0), (1, 1), (0, 1)):
        px = edge + x * width - (y - 0.5) * height * turn + rng.uniform(-1, 1) * skew * width
        py = edge + y * height + (x - 0.5) * width * turn + rng.uniform(-1, 1) * skew * height
        corners.append((min(max(px, 2), size[0] - 2), min(max(py, 2), size[1] - 2)))
    return Shot(
        canvas, size, corners, ground, rng.getrandbits(32), desk_things(*size, edge, rng) if props else None
    )


def _homography(width: float, height: float, corners: Sequence[Point]) -> np.ndarray:
    """From a rectangle at the origin to four corners; in closed form, so that all machines round alike."""
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners
    dx1, dx2, sx = x1 - x2, x3 - x2, x0 - x1 + x2 - x3
    dy1, dy2, sy = y1 - y2, y3 - y2, y0 - y1 + y2 - y3
    area = dx1 * dy2 - dy1 * dx2
    g, h = (sx * dy2 - sy * dx2) / area, (dx1 * sy - dy1 * sx) / area
    a, b, d, e = x1 - x0 + g * x1, x3 - x0 + h * x3, y1 - y0 + g * y1, y3 - y0 + h * y3
    w, t = width, height
    return np.array([[a / w, b / t, x0], [d / w, e / t, y0], [g / w, h / t, 1]])


def _exposed(image: Image.Image, noise: np.random.Generator) -> Image.Image:
    """Light that falls off across the picture, a tint of warm or cool, and grain."""
    pixels = np.asarray(image, dtype=np.float32)
    height, width = pixels.shape[:2]
    u, v = np.linspace(-1, 1, width)[None, :], np.linspace(-1, 1, height)[:, None]
    angle = noise.uniform(0, 2 * np.pi)
    light = 1 + noise.uniform(0.03, 0.09) * (np.cos(angle) * u + np.sin(angle) * v)
    light = light - noise.uniform(0.03, 0.09) * (u * u + v * v) / 2
    tint = 1 + noise.uniform(-0.035, 0.035) * np.array([1, 0.1, -1])
    grain = noise.normal(0, noise.uniform(1.2, 3.2), (height, width, 1)) + noise.normal(
        0, 0.8, (height, width, 3)
    )
    return Image.fromarray(np.clip(pixels * light[..., None] * tint + grain, 0, 255).astype(np.uint8))
