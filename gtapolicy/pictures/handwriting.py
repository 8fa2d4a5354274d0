"""Handwritten mathematics: typeset by matplotlib, then distorted, with uneven pressure."""

import functools

import numpy as np
from PIL import Image, ImageColor

from gtapolicy.pictures.drawing import check_glyphs
from gtapolicy.pictures.mistakes import refuse
from gtapolicy.pictures.surfaces import smooth_noise

# All math fonts of matplotlib take the characters that they lack from this one.
FALLBACK = "STIXGeneral.ttf"


def math_size(latex: str, size: float, face: str) -> tuple[float, float]:
    """Width and height of LaTeX in pixels, with a margin.

    `size` is the em, `face` a math font of matplotlib. Raises CannotShow if it cannot be typeset.
    """
    check_glyphs(latex, FALLBACK)
    height, width = _typeset(latex, 4 * size, face).shape
    return width / 4, height / 4


def write_math(latex: str, size: float, ink: str, face: str, seed: int) -> Image.Image:
    """Ink on a transparent image; `seed` determines the distortion.

    Each pixel is copied from a nearby point. The shift varies within a letter, and slowly along the line.
    """
    noise, alpha = np.random.default_rng(seed), _typeset(latex, size, face)
    height, width = alpha.shape
    cells = max(2, round(min(width, height) / (0.55 * size)))
    shift_x, shift_y = (0.055 * size * smooth_noise(width, height, cells, noise) for _ in range(2))
    slow = 0.10 * size * smooth_noise(width, height, 2, noise)
    rows, columns = np.mgrid[0:height, 0:width]
    from_x = np.clip(np.rint(columns + shift_x), 0, width - 1).astype(int)
    from_y = np.clip(np.rint(rows + shift_y + slow), 0, height - 1).astype(int)
    pressure = 0.88 + 0.2 * smooth_noise(width, height, 3 * cells, noise)
    written = np.array(np.clip(alpha[from_y, from_x] * pressure, 0, 255), np.uint8)
    image = Image.new("RGBA", (width, height), ImageColor.getrgb(ink))
    image.putalpha(Image.fromarray(written))
    return image


@functools.lru_cache(maxsize=64)
def _typeset(latex: str, size: float, face: str) -> np.ndarray:
    """Coverage from 0 to 255, shape (height, width), with a margin for the distortion."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.mathtext import MathTextParser

    style = FontProperties(size=size, math_fontfamily=face)
    try:
        ink = np.asarray(MathTextParser("agg").parse(f"${latex}$", dpi=72, prop=style).image)
    except ValueError as error:
        refuse(latex, f"LaTeX of matplotlib ({str(error).splitlines()[-1]})")
    return np.pad(ink, round(0.25 * size))
