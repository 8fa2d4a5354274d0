"""Documents: receipts, boards, menus, tables and notices, typeset by Typst from a template.

A template reads its values from `data` and wraps each line of text in `line`, whose position and size Typst
reports (templates/document.typ). One point of Typst is one pixel at scale 1.
"""

import functools
import io
import json
from collections.abc import Mapping
from pathlib import Path

import typst
from PIL import Image

from gtapolicy.pictures.drawing import Box, Drawing, TextLine, font_folder
from harness.errors import UserError

LIBRARY = Path(__file__).with_name("templates") / "document.typ"


def document(template: Path, values: Mapping[str, object]) -> Drawing:
    """The document of a template. Raises UserError with the message of Typst if it cannot be typeset."""
    inputs = {"data": json.dumps(values), "library": LIBRARY.as_posix()}
    compiler = typst.Compiler(template, root="/", font_paths=_fonts(), sys_inputs=inputs)

    def paint(scale: float) -> Image.Image:
        page = compiler.compile(format="png", ppi=72 * scale)
        if not isinstance(page, bytes):
            raise UserError(f"{template}: expected a template with one page, got several or none")
        return Image.open(io.BytesIO(page)).convert("RGBA")

    try:
        width, height = paint(1).size
        found = json.loads(compiler.query("<line>", field="value"))
    except typst.TypstError as error:
        raise UserError(f"{template}: expected a Typst template, but {error.message}") from None
    lines, boxes = [], {}
    for line in found:
        box = Box(line["x"], line["y"], line["x"] + line["width"], line["y"] + line["height"])
        lines.append(TextLine(line["text"], box))
        boxes[line["name"]] = [box]
    return Drawing(width, height, lines, boxes, paint)


@functools.cache
def _fonts() -> typst.Fonts:
    """The fonts of matplotlib only, so that letters are the same on every machine."""
    return typst.Fonts(
        include_system_fonts=False, include_embedded_fonts=False, font_paths=[str(font_folder())]
    )
