"""Handwritten mathematics: typeset by matplotlib, then distorted, with uneven pressure."""

import numpy as np
from PIL import Image, ImageColor

from gtapolicy.pictures.canvas import Canvas
from gtapolicy.pictures.pen import Box
from gtapolicy.pictures.surfaces import smooth_noise


def write_math(
    canvas: Canvas, x: float, y: float, latex: str, size: float, ink: str, face: str, seed: int
) -> Box:
    """Writes LaTeX (between dollar signs) with the upper left corner at (x, y).

    `size` is the em in pixels, `face` one of matplotlib's math fonts, and `seed` determines the distortion.
    """
    width, height = (side / 4 for side in _typeset(latex, 4 * size, face).shape[::-1])
    box = Box(x, y, x + width, y + height)

    def draw(image: Image.Image, scale: float) -> None:
        written = _distorted(_typeset(latex, size * scale, face), size * scale, np.random.default_rng(seed))
        layer = Image.new("RGBA", (written.shape[1], written.shape[0]), ImageColor.getrgb(ink))
        layer.putalpha(Image.fromarray(written))
        image.alpha_composite(layer, (round(x * scale), round(y * scale)))

    return canvas.mark(box, draw)


def _distorted(alpha: np.ndarray, em: float, noise: np.random.Generator) -> np.ndarray:
    """Copies each pixel from a nearby point. The shift varies within a letter, and slowly along the line."""
    height, width = alpha.shape
    cells = max(2, round(min(width, height) / (0.55 * em)))
    shift_x, shift_y = (0.055 * em * smooth_noise(width, height, cells, noise) for _ in range(2))
    slow = 0.10 * em * smooth_noise(width, height, 2, noise)
    rows, columns = np.mgrid[0:height, 0:width]
    from_x = np.clip(np.rint(columns + shift_x), 0, width - 1).astype(int)
    from_y = np.clip(np.rint(rows + shift_y + slow), 0, height - 1).astype(int)
    pressure = 0.88 + 0.2 * smooth_noise(width, height, 3 * cells, noise)
    ink: np.ndarray = np.clip(alpha[from_y, from_x] * pressure, 0, 255).astype(np.uint8)
    return ink


def _typeset(latex: str, size: float, face: str) -> np.ndarray:
    """Coverage from 0 to 255, shape (height, width), with a margin for the distortion."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import MathTextParser

    style = FontProperties(size=size, math_fontfamily=face)
    ink = np.asarray(MathTextParser("agg").parse(latex, dpi=72, prop=style).image)
    return np.pad(ink, round(0.25 * size))
