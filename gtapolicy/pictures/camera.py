"""The picture that a camera would take of a drawing, and the position of each box in the picture.

    drawing (flat)
      |  perspective: the four corners are mapped to four points of the picture
      v
    on a surface, with props beside it and a soft shadow below it         only for a tilted view
      |  reduced to the size of the picture, which smooths edges
      v
    uneven light, a tint, sensor grain

`box` and `lines` need only the perspective; `image` runs all steps. All random numbers of the image come from
the view's seed, so the image can be drawn later and in another process.
"""

import functools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from gtapolicy.pictures.drawing import Box, Drawing, Point, TextLine, bounds
from gtapolicy.pictures.mistakes import Named
from gtapolicy.pictures.surfaces import DESKS, surface_texture
from gtapolicy.pictures.svg import svg
from harness.errors import UserError

# The widest picture, in pixels.
MAX_WIDTH = 640
# The picture of a tilted drawing is made this many times larger and then reduced.
SUPERSAMPLING = 2
# The scale at which the drawing itself is painted.
PAINTED = 1.5
PROPS = Path(__file__).with_name("templates") / "props.svg"


@dataclass(frozen=True)
class CameraView:
    """The picture of one drawing. Positions are computed at once, pixels only by `image`."""

    drawing: Drawing
    # Width and height of the picture in pixels.
    size: tuple[int, int]
    # The corners of the drawing in the picture: upper left, upper right, lower right, lower left.
    corners: Sequence[Point]
    # The surface below or behind the drawing; "" if the drawing fills the picture.
    surface: str
    # The seed of all random numbers of the image.
    seed: int
    # Drawn on the surface, below the drawing, in pixels of the picture.
    props: Drawing | None = None

    @functools.cached_property
    def _matrix(self) -> np.ndarray:
        return _homography(self.drawing.width, self.drawing.height, self.corners)

    def box(self, box: Box) -> Box:
        """The axis-aligned box in the picture, in whole pixels, that encloses a box of the drawing."""
        around = bounds(self._project(x, y) for x in (box.x1, box.x2) for y in (box.y1, box.y2))
        x1, y1, x2, y2 = (round(value) for value in around)
        return Box(max(0, x1), max(0, y1), min(self.size[0], x2), min(self.size[1], y2))

    @property
    def lines(self) -> list[TextLine]:
        """The text lines with their boxes in the picture, from top to bottom, then from left to right."""
        lines = [TextLine(line.text, self.box(line.box)) for line in self.drawing.lines]
        # Lines whose centers differ by a few pixels count as equally high.
        return sorted(lines, key=lambda line: (round((line.box.y1 + line.box.y2) / 16), line.box.x1))

    def boxes(self, name: str) -> list[Box]:
        """The boxes in the picture of everything with this name."""
        return [self.box(box) for box in Named(self.drawing.boxes)[name]]

    def image(self) -> Image.Image:
        noise = np.random.default_rng(self.seed)
        if self.surface:
            image = self._on_surface(noise).convert("RGB").reduce(SUPERSAMPLING)
        else:
            image = self.drawing.paint(1).convert("RGB")
        # A lens is never perfectly sharp.
        return _expose(image.filter(ImageFilter.GaussianBlur(0.35)), noise)

    def _on_surface(self, noise: np.random.Generator) -> Image.Image:
        width, height = (side * SUPERSAMPLING for side in self.size)
        scene = surface_texture(self.surface, width, height, noise).convert("RGBA")
        if self.props:
            scene.alpha_composite(self.props.paint(1).resize(scene.size))
        outline = [(x * SUPERSAMPLING, y * SUPERSAMPLING) for x, y in self.corners]
        # The shadow of the drawing, slightly to its lower right, drawn at a quarter of the size.
        shade = Image.new("L", (width // 4, height // 4))
        ImageDraw.Draw(shade).polygon([(x / 4 + 3, y / 4 + 4) for x, y in outline], fill=130)
        dark = Image.new("RGBA", (width, height), "#140f0a")
        dark.putalpha(shade.filter(ImageFilter.GaussianBlur(4)).resize((width, height)))
        scene.alpha_composite(dark)
        # Pillow needs the inverse mapping, from each pixel of the picture to a pixel of the painted drawing.
        drawing = self.drawing.paint(PAINTED)
        reduce = np.diag([self.drawing.width / drawing.width, self.drawing.height / drawing.height, 1])
        inverse = np.linalg.inv(np.diag([SUPERSAMPLING, SUPERSAMPLING, 1]) @ self._matrix @ reduce)
        coefficients = list((inverse / inverse[2, 2]).ravel()[:8])
        size, bilinear = (width, height), Image.Resampling.BILINEAR
        scene.alpha_composite(drawing.transform(size, Image.Transform.PERSPECTIVE, coefficients, bilinear))
        return scene

    def _project(self, x: float, y: float) -> Point:
        a, b, c, d, e, f, g, h, _ = self._matrix.ravel().tolist()
        depth = g * x + h * y + 1
        return (a * x + b * y + c) / depth, (d * x + e * y + f) / depth


def frontal_view(drawing: Drawing, rng: random.Random) -> CameraView:
    """The drawing fills the picture."""
    width, height = round(drawing.width), round(drawing.height)
    corners = [(0, 0), (width, 0), (width, height), (0, height)]
    return CameraView(drawing, (width, height), corners, "", rng.getrandbits(32))


def tilted_view(drawing: Drawing, surface: str, rng: random.Random, margin: float = 0.06) -> CameraView:
    """The drawing as a slightly rotated sheet on a surface, on a desk sometimes with props beside the sheet.

    The margin is a fraction of the shorter side of the drawing, from 0 to 1.
    """
    if not (isinstance(margin, (int, float)) and 0 <= margin <= 1):
        raise UserError(f"expected a margin from 0 to 1, got {margin!r}")
    width, height = drawing.width, drawing.height
    props = surface in DESKS and rng.random() < 0.45
    edge = min((0.17 if props else margin) * min(width, height) + 8, (MAX_WIDTH - width) / 2)
    size = round(width + 2 * edge), round(height + 2 * edge)
    turn, skew = rng.uniform(-0.05, 0.05), rng.uniform(0.004, 0.02)
    corners = []
    for x, y in ((0, 0), (1, 0), (1, 1), (0, 1)):
        px = edge + x * width - (y - 0.5) * height * turn + rng.uniform(-1, 1) * skew * width
        py = edge + y * height + (x - 0.5) * width * turn + rng.uniform(-1, 1) * skew * height
        corners.append((min(max(px, 2), size[0] - 2), min(max(py, 2), size[1] - 2)))
    seed = rng.getrandbits(32)
    beside = svg(PROPS, {"width": size[0], "height": size[1], "edge": edge}, rng) if props else None
    return CameraView(drawing, size, corners, surface, seed, beside)


def _homography(width: float, height: float, corners: Sequence[Point]) -> np.ndarray:
    """The 3x3 matrix that maps a rectangle at the origin to four corners.

    Uses the closed form (Heckbert, "Fundamentals of Texture Mapping and Image Warping", 1989) and no solver,
    so that all machines round in the same way.
    """
    (x0, y0), (x1, y1), (x2, y2), (x3, y3) = corners
    dx1, dx2, sx = x1 - x2, x3 - x2, x0 - x1 + x2 - x3
    dy1, dy2, sy = y1 - y2, y3 - y2, y0 - y1 + y2 - y3
    area = dx1 * dy2 - dy1 * dx2
    g, h = (sx * dy2 - sy * dx2) / area, (dx1 * sy - dy1 * sx) / area
    a, b, d, e = x1 - x0 + g * x1, x3 - x0 + h * x3, y1 - y0 + g * y1, y3 - y0 + h * y3
    w, t = width, height
    return np.array([[a / w, b / t, x0], [d / w, e / t, y0], [g / w, h / t, 1]])


def _expose(image: Image.Image, noise: np.random.Generator) -> Image.Image:
    """Adds light that falls off across the picture and toward its corners, a warm or cool tint, and grain."""
    pixels = np.asarray(image, dtype=np.float32)
    height, width = pixels.shape[:2]
    u, v = np.linspace(-1, 1, width)[None, :], np.linspace(-1, 1, height)[:, None]
    angle = noise.uniform(0, 2 * np.pi)
    light = 1 + noise.uniform(0.03, 0.09) * (np.cos(angle) * u + np.sin(angle) * v)
    light = light - noise.uniform(0.03, 0.09) * (u * u + v * v) / 2
    tint = 1 + noise.uniform(-0.035, 0.035) * np.array([1, 0.1, -1])
    shade = (light[..., None] * tint).astype(np.float32)
    gray_grain = noise.uniform(1.2, 3.2) * noise.standard_normal((height, width, 1), np.float32)
    grain = gray_grain + 0.8 * noise.standard_normal((height, width, 3), np.float32)
    return Image.fromarray(np.clip(pixels * shade + grain, 0, 255).astype(np.uint8))
