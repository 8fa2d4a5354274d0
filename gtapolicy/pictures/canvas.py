"""A drawing as a list of marks.

Adding a mark records its box, and for text also its line. Pixels are created only by `render`, at any scale.
Therefore the texts and boxes of a picture are known without drawing it.

    canvas.rect(...)  ->  mark + box
    canvas.text(...)  ->  mark + box + text line      canvas.render(scale)  ->  all marks painted in order

Coordinates are pixels of the drawing at scale 1, x to the right and y down. Colors are strings that Pillow
reads, such as "#2b2b2b" or, with opacity, "#2b2b2b80".
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image, ImageColor, ImageDraw, ImageFilter, ImageFont

from gtapolicy.pictures.pen import Box, Pen, bounds, union
from gtapolicy.pictures.shading import composite

# Fonts that are part of matplotlib, so that the glyphs are the same on every machine.
FONT_FILES = {
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


@dataclass(frozen=True, slots=True)
class TextLine:
    """A line of text as OCR reports it."""

    text: str
    box: Box


@functools.cache
def font(face: str, size: float) -> ImageFont.FreeTypeFont:
    import matplotlib

    path = Path(matplotlib.get_data_path()) / "fonts" / "ttf" / FONT_FILES[face]
    return ImageFont.truetype(path, size, layout_engine=ImageFont.Layout.BASIC)


def text_width(text: str, size: float, face: str) -> float:
    # Measured at four times the size, because Pillow rounds advances to whole pixels.
    return font(face, 4 * size).getlength(text) / 4


class Canvas(Pen):
    """A drawing: marks, and the text lines among them. A canvas is also a pen, which draws in pixels."""

    def __init__(self, width: int, height: int, background: str | None = "#ffffff") -> None:
        """A background of None is transparent."""
        super().__init__([])
        self.width, self.height, self.background = width, height, background
        self.lines: list[TextLine] = []

    def render(self, scale: float = 1) -> Image.Image:
        size = round(self.width * scale), round(self.height * scale)
        image = Image.new("RGBA", size, self.background or (0, 0, 0, 0))
        for mark in self.marks:
            mark.paint(image, scale)
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
        is_line: bool = True,
    ) -> Box:
        """Writes text. Use is_line=False if the text is only a part of a line.

        Anchors are Pillow's, such as la (left, ascender), lm (left, middle), mm (center, middle), rm.
        """
        measured = font(face, 4 * size).getbbox(text, anchor=anchor)
        x1, y1, x2, y2 = (value / 4 for value in measured)
        box = Box(x + x1, y + y1, x + x2, y + y2)

        def draw(image: Image.Image, scale: float) -> None:
            pen = ImageDraw.Draw(image)
            pen.text((x * scale, y * scale), text, fill, font(face, size * scale), anchor)

        if is_line:
            self.lines.append(TextLine(text, box))
        return self.mark(box, draw)

    def add_line(self, text: str, parts: Sequence[Box]) -> Box:
        """Records texts that were drawn side by side as one line; returns its box."""
        self.lines.append(TextLine(text, union(parts)))
        return self.lines[-1].box

    def paste_canvas(self, other: Canvas, x: float, y: float, degrees: float = 0) -> Box:
        """Draws another canvas, rotated clockwise and centered at (x, y), but does not add its text lines."""
        turn = math.radians(degrees)
        half_w = (abs(other.width * math.cos(turn)) + abs(other.height * math.sin(turn))) / 2
        half_h = (abs(other.width * math.sin(turn)) + abs(other.height * math.cos(turn))) / 2

        def draw(image: Image.Image, scale: float) -> None:
            turned = other.render(scale).rotate(-degrees, Image.Resampling.BICUBIC, expand=True)
            corner = round(x * scale - turned.width / 2), round(y * scale - turned.height / 2)
            composite(image, turned, corner)

        return self.mark(Box(x - half_w, y - half_h, x + half_w, y + half_h), draw)

    def paste_image(self, box: Box, load: Callable[[], Image.Image]) -> Box:
        """Draws an image, stretched to the box. The image is loaded only when the canvas is rendered."""

        def draw(image: Image.Image, scale: float) -> None:
            x1, y1, x2, y2 = (round(value * scale) for value in box)
            image.paste(load().convert("RGB").resize((x2 - x1, y2 - y1), Image.Resampling.LANCZOS), (x1, y1))

        return self.mark(box, draw)

    def shadow(self, x1: float, y1: float, x2: float, y2: float, strength: float = 0.4) -> None:
        """A soft dark ellipse under an object."""
        box = Box(x1, y1, x2, y2)
        blur = max(1.5, (y2 - y1) / 4)
        around = box.grown(2 * blur)

        def draw(image: Image.Image, scale: float) -> None:
            # A blurred shape needs only a quarter of the resolution.
            small = scale / 4
            sides = (around.x2 - around.x1, around.y2 - around.y1)
            width, height = (max(1, round(side * small)) for side in sides)
            inset = 2 * blur * small
            mask = Image.new("L", (width, height))
            inner = (inset, inset, width - inset, height - inset)
            ImageDraw.Draw(mask).ellipse(inner, round(255 * strength))
            mask = mask.filter(ImageFilter.GaussianBlur(blur * small))
            dark = Image.new("RGBA", mask.size, "#1c1610")
            dark.putalpha(mask)
            full = dark.resize((width * 4, height * 4), Image.Resampling.BICUBIC)
            composite(image, full, (round(around.x1 * scale), round(around.y1 * scale)))

        # A shadow must not enlarge the box of an object, so its own box is a point.
        self.mark(bounds([box.center]), draw)

    def gradient(self, x1: float, y1: float, x2: float, y2: float, top: str, bottom: str) -> Box:
        box = Box(x1, y1, x2, y2)

        def draw(image: Image.Image, scale: float) -> None:
            left, upper, right, lower = (round(value * scale) for value in box)
            ramp = np.linspace(0, 1, max(lower - upper, 1))[:, None]
            rows = (1 - ramp) * np.array(ImageColor.getrgb(top)) + ramp * np.array(ImageColor.getrgb(bottom))
            strip = Image.fromarray(rows.round().astype(np.uint8)[:, None, :])
            image.paste(strip.resize((right - left, strip.height)), (left, upper))

        return self.mark(box, draw)
