"""Drawings of objects, places, maps and machines: an SVG that a Jinja template writes, painted by resvg.

A template calls the functions of `Canvas`. They return SVG and record texts and boxes:

    {{ draw("apple", x, y, height, "red") }}   an object of objects.toml     -> its box, under its name
    {{ text(x, y, "Bakery", 20, "#222222") }}  a text                        -> a line for OCR
    {{ surface("oak", x, y, width, height) }}  wood, stone, cloth or a wall  -> a layer below the SVG
"""

import functools
import io
import re
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from random import Random
from typing import Any

import jinja2
import numpy as np
from jinja2.sandbox import SandboxedEnvironment
from markupsafe import Markup
from PIL import Image, ImageColor, ImageEnhance, ImageFont, ImageOps

from gtapolicy.pictures.drawing import Box, Drawing, TextLine, check_glyphs, font_folder, union
from gtapolicy.pictures.draws import draws
from gtapolicy.pictures.handwriting import math_size, write_math
from gtapolicy.pictures.mistakes import CannotShow, Named, in_words, refuse
from gtapolicy.pictures.surfaces import SURFACES, surface_texture
from harness import registry
from harness.errors import UserError
from harness.files import store

TEMPLATES = Path(__file__).with_name("templates")
# Colors, fonts, shades and objects; the file explains the fields.
STORED = store.read_toml(Path(__file__).with_name("objects.toml"), dict[str, Any])
FACES, KINDS, COLORS = Named(STORED["faces"]), Named(STORED["object"]), STORED["colors"]
PHOTOGRAPHS = Named(dict.fromkeys(STORED["photographs"]))
OBJECTS = jinja2.DictLoader({name: kind["svg"] for name, kind in KINDS.items()})
# Width divided by height.
ASPECTS = {name: (kind["box"][2] - kind["box"][0]) / 100 for name, kind in KINDS.items()}
# How many times as wide as its room a text can be. It is then written smaller.
MOST_EXCESS = 1.25
# The smallest em of handwritten mathematics that can be read, in pixels.
LEAST_MATH = 12
# Pillow's names for the anchors of texts in SVG, at half the height of the letters.
ANCHORS = Named({"start": "lm", "middle": "mm", "end": "rm"})

# An image that is not part of the SVG: the position of its upper left corner, and how it is painted.
Layer = tuple[float, float, Callable[[float], Image.Image]]


def svg(template: Path, values: Mapping[str, Any], rng: Random) -> Drawing:
    """The drawing of a template. Raises UserError with the message of Jinja if the template is wrong."""
    if found := re.search(r"<(text|image)\b", template.read_text(encoding="utf-8")):
        # resvg does not paint such a text, and an image is a file that other machines do not have.
        raise UserError(f"{template}: expected text(...) or photo(...) in braces, got <{found[1]}>")
    canvas = Canvas(rng)
    try:
        body = _environment(template.parent).get_template(template.name).render(canvas.names, **values)
    except jinja2.TemplateSyntaxError as error:
        raise UserError(f"{error.filename}, line {error.lineno}: {error.message}") from None
    except CannotShow:
        raise
    except (UserError, jinja2.TemplateError, TypeError, ValueError, LookupError, ArithmeticError) as error:
        # Jinja puts the lines of templates into the traceback.
        calls = traceback.extract_tb(error.__traceback__)
        line = [call.lineno for call in calls if call.filename == str(template)][-1]
        where = f"{template}, line {line}"
        raise UserError(f"{where}: cannot be drawn with these values: {in_words(error)}") from None
    return canvas.drawing(body, template)


@functools.cache
def _environment(folder: Path) -> jinja2.Environment:
    return SandboxedEnvironment(
        loader=jinja2.ChoiceLoader([jinja2.FileSystemLoader([folder, TEMPLATES]), OBJECTS]),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


@functools.cache
def font(face: str, size: float) -> ImageFont.FreeTypeFont:
    return ImageFont.truetype(font_folder() / FACES[face][0], size, layout_engine=ImageFont.Layout.BASIC)


class Canvas:
    """What a template has drawn so far."""

    def __init__(self, rng: Random) -> None:
        self.rng = rng
        self.lines: list[TextLine] = []
        self.boxes: dict[str, list[Box]] = {}
        self.below: list[Layer] = []
        self.above: list[Layer] = []
        self.gradients: dict[str, str] = {"shadow": STORED["shadow"]}
        self.fonts: set[str] = set()
        self.size = (0.0, 0.0)
        # The names that a template can use.
        shapes = ("gradient", "shadow", "draw", "text", "hills", "page", "mark", "surface", "photo", "math")
        own = {name: getattr(self, name) for name in shapes}
        shades = {name: functools.partial(self._shade, name) for name in STORED["shades"]}
        known = {"colors": COLORS, "aspects": ASPECTS, "math_size": math_size}
        self.names = own | shades | draws(rng) | known

    def page(self, width: float, height: float) -> str:
        """Sets the size of the drawing."""
        self.size = (width, height)
        return ""

    def gradient(self, top: str, bottom: str) -> str:
        """A fill from one color at the top to another at the bottom."""
        return self._gradient("fade", f"g{top}{bottom}", [(0, top), (1, bottom)])

    def shadow(self, x: float, y: float, rx: float, ry: float) -> Markup:
        """A soft shadow on the ground, whose center is at (x, y)."""
        return Markup('<ellipse cx="{}" cy="{}" rx="{}" ry="{}" fill="url(#shadow)"/>').format(x, y, rx, ry)

    def draw(
        self, kind: str, x: float, y: float, height: float, color: str = "", name: str | None = None
    ) -> Markup:
        """An object with the middle of its base at (x, y). Its box is recorded under its name."""
        scale = height / 100
        left, top, right, bottom = (scale * value for value in KINDS[kind]["box"])
        self.mark(name or kind, x + left, y + top, x + right, y + bottom)
        fill = COLORS.get(color, color)
        body = _environment(TEMPLATES).get_template(kind).render(self.names, color=fill)
        return Markup('<g transform="translate({:.1f} {:.1f}) scale({:.4f})">{}</g>').format(
            x, y, scale, Markup(body)
        )

    def mark(self, name: str, x1: float, y1: float, x2: float, y2: float) -> str:
        """Records a box, to which calls can refer by its name."""
        self.boxes.setdefault(name, []).append(Box(x1, y1, x2, y2))
        return ""

    def text(
        self,
        x: float,
        y: float,
        text: object,
        size: float,
        fill: str = "#222222",
        face: str = "sans",
        anchor: str = "middle",
        name: str = "",
        room: float = 1000,
    ) -> Markup:
        """A text whose letters are centered vertically at y, and at x by the anchor: start, middle or end.

        It is a line for OCR. Texts with the same name are one line, and its box has this name. A text is
        written smaller if it needs more than the room, in pixels. Raises CannotShow if it needs far more.
        """
        content, (file, family, style) = str(text), FACES[face]
        check_glyphs(content, file)
        # Measured at four times the size, because Pillow rounds advances to whole pixels.
        large = font(face, 4 * size)
        if (excess := large.getlength(content) / 4 / room) > MOST_EXCESS:
            refuse(content)
        if excess > 1:
            return self.text(x, y, content, size / excess, fill, face, anchor, name)
        left, top, right, bottom = large.getbbox(content, anchor=ANCHORS[anchor])
        self._add_line(content, Box(x + left / 4, y + top / 4, x + right / 4, y + bottom / 4), name)
        self.fonts.add(file)
        ascent, descent = large.getmetrics()
        baseline = y + (ascent - descent) / 2 / 4
        return Markup(
            '<text x="{:.1f}" y="{:.1f}" font-family="{}" font-size="{}" text-anchor="{}" fill="{}" {}>'
            "{}</text>"
        ).format(x, baseline, family, size, anchor, fill, Markup(style), content)

    def _add_line(self, text: str, box: Box, name: str) -> None:
        last = self.lines[-1] if self.lines else None
        if name and last and self.boxes.get(name) == [last.box]:
            text, box = f"{last.text} {text}", union([last.box, box])
            self.lines.pop()
        self.lines.append(TextLine(text, box))
        self.boxes[name or text] = [box]

    def surface(self, name: str, x: float, y: float, width: float, height: float) -> str:
        """Fills a rectangle with a texture, below everything that the SVG draws."""
        SURFACES[name]  # is known
        seed = self.rng.getrandbits(32)

        def paint(scale: float) -> Image.Image:
            size = round(width * scale), round(height * scale)
            return surface_texture(name, *size, np.random.default_rng(seed))

        self.below.append((x, y, paint))
        return ""

    def photo(
        self, name: str, x: float, y: float, width: float, height: float, mirrored: bool, tone: float
    ) -> str:
        """A photograph of scikit-image, in a tone from 0 (dark and pale) to 1 (bright and colorful)."""
        PHOTOGRAPHS[name]  # is known

        def paint(scale: float) -> Image.Image:
            image = ImageOps.mirror(photograph(name)) if mirrored else photograph(name)
            bright = ImageEnhance.Brightness(image).enhance(0.8 + 0.4 * tone)
            image = ImageEnhance.Color(bright).enhance(0.7 + 0.5 * tone)
            return image.resize((round(width * scale), round(height * scale)), Image.Resampling.LANCZOS)

        self.below.append((x, y, paint))
        return ""

    def math(self, x: float, y: float, latex: str, size: float, ink: str, face: str) -> str:
        """Handwritten mathematics with its upper left corner at (x, y)."""
        if size < LEAST_MATH or x + math_size(latex, size, face)[0] > self.size[0]:
            refuse(latex, "shorter mathematics")
        ImageColor.getrgb(ink)  # is known
        seed = self.rng.getrandbits(32)
        self.above.append((x, y, lambda scale: write_math(latex, size * scale, ink, face, seed)))
        return ""

    def hills(self, base: float, height: float) -> str:
        """The points of a skyline from the left to the right edge: the sum of three waves above y = base."""
        draw = self.rng.uniform
        waves = [(draw(3, 19), draw(0, 6), draw(0.2, 0.6)) for _ in range(3)]
        u = np.linspace(0, 1, 41)
        rise = np.sum([high * (1 + np.sin(often * u + phase)) for often, phase, high in waves], axis=0)
        points = np.column_stack([u * self.size[0], base - height * (0.15 + 0.5 * rise)])
        return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)

    def _shade(self, kind: str, color: str) -> str:
        stops = [(at, _toned(color, by)) for at, by in STORED["shades"][kind]["stops"]]
        return self._gradient(kind, f"{kind}{color}", stops)

    def _gradient(self, kind: str, name: str, stops: Sequence[tuple[float, str]]) -> str:
        """A gradient in the form of a kind of shade, with a color at each position."""
        name = name.replace("#", "-")
        written = (f'<stop offset="{at}" stop-color="{color}"/>' for at, color in stops)
        self.gradients[name] = STORED["shades"][kind]["form"].format(id=name, stops="".join(written))
        return f"url(#{name})"

    def drawing(self, body: str, template: Path) -> Drawing:
        """The finished drawing, given the SVG elements that the template returned."""
        width, height = self.size
        whole = (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}">'
            f"<defs>{''.join(self.gradients.values())}</defs>{body}</svg>"
        )
        fonts = [str(font_folder() / file) for file in sorted(self.fonts)]

        def paint(scale: float) -> Image.Image:
            import resvg_py

            image = Image.new("RGBA", (round(width * scale), round(height * scale)))
            try:
                data = resvg_py.svg_to_bytes(
                    svg_string=whole, zoom=scale, skip_system_fonts=True, font_files=fonts or None
                )
            except ValueError as error:
                raise UserError(f"{template}: expected SVG elements, but {error}") from None
            middle: Layer = (0, 0, lambda _: Image.open(io.BytesIO(data)))
            for x, y, paint_layer in (*self.below, middle, *self.above):
                part = paint_layer(scale).convert("RGBA")
                image.alpha_composite(part, (round(x * scale), round(y * scale)))
            return image

        return Drawing(width, height, self.lines, self.boxes, paint)


@functools.lru_cache(maxsize=16)
def photograph(name: str) -> Image.Image:
    """A photograph of scikit-image as RGB. docs/gtapolicy_pictures.md lists the license of each one."""
    try:
        import skimage.data
    except ImportError:
        raise UserError(
            f"photographs: expected the package scikit-image, found none; {registry.to_install('gta')}"
        ) from None
    return Image.fromarray(np.asarray(getattr(skimage.data, name)())).convert("RGB")


def _toned(color: str, by: float) -> str:
    """The color mixed with white (by > 0) or with black (by < 0)."""
    target = 255 if by > 0 else 0
    rgb = (round(value + abs(by) * (target - value)) for value in ImageColor.getrgb(color)[:3])
    return "#{:02x}{:02x}{:02x}".format(*rgb)
