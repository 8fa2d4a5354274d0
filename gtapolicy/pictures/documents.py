"""Documents: receipts, boards, menus, tables and notices, typeset by Typst from a template.

A template reads its values from `data` and wraps each line of text in `line`, whose position and size Typst
reports (packages/local/documents). One point of Typst is one pixel at scale 1.
"""

import functools
import io
import json
import re
from collections.abc import Mapping
from pathlib import Path

import typst
from PIL import Image

from gtapolicy.pictures.drawing import Box, Drawing, TextLine, check_glyphs, font_folder
from gtapolicy.pictures.mistakes import CannotShow, refuse
from harness.errors import UserError

# A Typst package, which a template can read although it is outside of the template's folder.
PACKAGES, LIBRARY = Path(__file__).with_name("packages"), "@local/documents:1.0.0"
# Typst takes the characters that a document's font lacks from this one.
FALLBACK = "DejaVuSans.ttf"
# How a template imports a package of Typst's registry.
DOWNLOAD = re.compile(r'"@preview/')
# What Typst writes in an SVG.
LETTER = "<use xlink:href="
SIZE = re.compile(r'width="([\d.]+)pt" height="([\d.]+)pt"')


def document(template: Path, values: Mapping[str, object]) -> Drawing:
    """The document of a template. Raises UserError with the message of Typst if it cannot be typeset."""
    if DOWNLOAD.search(template.read_text(encoding="utf-8")):
        raise UserError(
            f"{template}: expected no package of Typst's registry, on which a benchmark would depend"
        )
    inputs = {"data": json.dumps(values, allow_nan=False), "library": LIBRARY}
    # A template of other people must not read any file of this machine, but only those in its folder.
    compiler = functools.partial(
        typst.Compiler, template, root=template.parent, font_paths=_fonts(), package_path=PACKAGES
    )

    def paint(scale: float) -> Image.Image:
        page = compiler(sys_inputs=inputs).compile(format="png", ppi=72 * scale)
        assert isinstance(page, bytes)
        return Image.open(io.BytesIO(page)).convert("RGBA")

    # With invisible lines, so that all letters that remain are of texts outside of lines.
    invisible = compiler(sys_inputs=inputs | {"invisible": ""})
    try:
        page = invisible.compile(format="svg")
        found = json.loads(invisible.query("<line>", field="value"))
    except typst.TypstError as error:
        if failed := re.fullmatch(r"assertion failed: (?:(\w+): )?(.+)", error.message, re.DOTALL):
            raise CannotShow(failed[2], key=failed[1] or "") from None
        line = re.search(rf"{re.escape(template.name)}:(\d+)", error.diagnostic)
        where = f"{template}, line {line[1]}" if line else str(template)
        raise UserError(f"{where}: cannot be typeset with these values: {error.message}") from None
    if not isinstance(page, bytes):
        raise UserError(f"{template}: expected a template with one page, got several or none")
    svg = page.decode()
    if LETTER in svg:
        raise UserError(f"{template}: expected all texts in line(...), because OCR does not read others")
    width, height = (round(float(size)) for size in SIZE.findall(svg)[0])
    lines, boxes = [], {}
    for line, end in zip(found[::2], found[1::2], strict=True):
        check_glyphs(line["text"], FALLBACK)
        box = Box(line["x"], line["y"], line["x"] + line["width"], line["y"] + line["height"])
        if abs(end - box.y2) > 1:
            refuse(line["text"], "a shorter text, which does not need two lines")
        lines.append(TextLine(line["text"], box))
        boxes[line["name"]] = [box]
    return Drawing(width, height, lines, boxes, paint)


@functools.cache
def _fonts() -> typst.Fonts:
    """The fonts of matplotlib only, so that letters are the same on every machine."""
    return typst.Fonts(
        include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(font_folder())]
    )
