"""Paints shapes: draws a shape as a mask, through which a shaded color is composited onto the image."""

import math
from collections.abc import Callable, Sequence
from typing import Literal

import numpy as np
from PIL import Image, ImageColor, ImageDraw

Point = tuple[float, float]
# How light falls on a shape: uniformly, as on a sphere, as on an upright cylinder, or fading downward.
Shade = Literal["flat", "sphere", "cylinder", "fade"]
# Maps points of a canvas to pixels of a mask.
ToMask = Callable[[Sequence[Point]], list[Point]]
# Paints a shape. Called with an ImageDraw, a ToMask, the scale, and a fill or an outline with its width.
PaintShape = Callable[..., None]


def paint_shape(
    image: Image.Image,
    scale: float,
    *,
    box: tuple[float, float, float, float],
    paint: PaintShape,
    color: str,
    shade: Shade = "flat",
    outline_width: float | None = None,
) -> None:
    """Paints a shape inside a box of the canvas; only its outline if `outline_width` is given."""
    left, upper = math.floor(box[0] * scale), math.floor(box[1] * scale)
    size = math.ceil(box[2] * scale) - left + 1, math.ceil(box[3] * scale) - upper + 1

    def to_mask(points: Sequence[Point]) -> list[Point]:
        return [(x * scale - left, y * scale - upper) for x, y in points]

    mask = Image.new("L", size)
    style = {"fill": 255}
    if outline_width is not None:
        style = {"outline": 255, "width": max(1, round(outline_width * scale))}
    paint(ImageDraw.Draw(mask), to_mask, scale, **style)
    red, green, blue, alpha = ImageColor.getcolor(color, "RGBA")  # type: ignore[misc]
    if alpha < 255:
        mask = mask.point(lambda value: value * alpha // 255)
    layer = _shaded((red, green, blue), *size, shade)
    layer.putalpha(mask)
    composite(image, layer, (left, upper))


def composite(image: Image.Image, layer: Image.Image, corner: tuple[int, int]) -> None:
    """Alpha-composites a layer, which may extend beyond the image."""
    x, y = corner
    cut = (max(0, -x), max(0, -y), min(layer.width, image.width - x), min(layer.height, image.height - y))
    if cut[0] < cut[2] and cut[1] < cut[3]:
        image.alpha_composite(layer.crop(cut), (max(0, x), max(0, y)))


def _shaded(color: tuple[int, int, int], width: int, height: int, shade: Shade) -> Image.Image:
    """A rectangle of one color, lit from the upper left."""
    if shade == "flat":
        return Image.new("RGB", (width, height), color)
    u = np.linspace(-1, 1, width)[None, :, None]
    v = np.linspace(-1, 1, height)[:, None, None]
    shine: np.ndarray | float = 0.0
    if shade == "fade":
        bright = 1.08 - 0.16 * (v + 1) / 2 + 0 * u
    else:
        # The cosine between the light's direction and the surface normal (u, tilt, depth).
        tilt = v if shade == "sphere" else 0 * v
        depth = np.sqrt(np.maximum(0, 1 - u * u - tilt * tilt))
        facing = np.maximum(0, -0.45 * u - 0.5 * tilt + 0.74 * depth)
        bright = 0.5 + 0.62 * facing
        shine = 150 * facing**28 if shade == "sphere" else 60 * facing**14
    return Image.fromarray(np.clip(np.array(color) * bright + shine, 0, 255).astype(np.uint8))
