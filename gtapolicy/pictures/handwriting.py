"""Mathematics as a hand writes it: typeset by matplotlib, then bent and blotted."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageColor

from gtapolicy.pictures.canvas import Box, Canvas
from gtapolicy.pictures.grounds import clouds


def write(canvas: Canvas, x: float, y: float, latex: str, size: float, ink: str, face: str, seed: int) -> Box:
    """LaTeX between dollars, its upper left at x, y; size in pixels of an em; face is a mathtext font set."""
    width, height = (side / 4 for side in _typeset(latex, 4 * size, face).shape[::-1])
    box = Box(x, y, x + width, y + height)

    def draw(image: Image.Image, scale: float) -> None:
        wobbly = bent(_typeset(latex, size * scale, face), size * scale, np.random.default_rng(seed))
        layer = Image.new("RGBA", (wobbly.shape[1], wobbly.shape[0]), ImageColor.getrgb(ink))
        layer.putalpha(Image.fromarray(wobbly))
        image.alpha_composite(layer, (round(x * scale), round(y * scale)))

    return canvas.mark(box, draw)


def bent(alpha: np.ndarray, em: float, noise: np.random.Generator) -> np.ndarray:
    """Each pixel is fetched from a little beside it, by a field that turns within a letter."""
    height, width = alpha.shape
    cells = max(2, round(min(width, height) / (0.55 * em)))
    shift_x, shift_y = (0.055 * em * clouds(width, height, cells, noise) for _ in range(2))
    slow = 0.10 * em * clouds(width, height, 2, noise)
    rows, columns = np.mgrid[0:height, 0:width]
    from_x = np.clip(np.rint(columns + shift_x), 0, width - 1).astype(int)
    from_y = np.clip(np.rint(rows + shift_y + slow), 0, height - 1).astype(int)
    pressed = 0.88 + 0.2 * clouds(width, height, 3 * cells, noise)
    inked: np.ndarray = np.clip(alpha[from_y, from_x] * pressed, 0, 255).astype(np.uint8)
    return inked


def _typeset(latex: str, size: float, face: str) -> np.ndarray:
    """Coverage 0..255, (height, width), with a margin for the bending."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import MathTextParser

    style = FontProperties(size=size, math_fontfamily=face)
    ink = np.asarray(MathTextParser("agg").parse(latex, dpi=72, prop=style).image)
    return np.pad(ink, round(0.25 * size))
