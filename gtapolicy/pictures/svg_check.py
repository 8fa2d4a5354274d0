"""Finds elements, attributes and values that are not SVG, which resvg would ignore without a message."""

import re
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from PIL import ImageColor

from gtapolicy.pictures.mistakes import nearest
from harness.errors import UserError
from harness.files import store
from harness.text import short

_STORED = store.read_toml(Path(__file__).with_name("svg.toml"), dict[str, Any])
ELEMENTS = frozenset(_STORED["elements"].split())
COLOR_NAMES = "|".join((*ImageColor.colormap, "none", "transparent", "currentColor", "inherit"))
# What is expected of the value of each attribute, in words and as a pattern.
ATTRIBUTES = {
    name: (kind["expected"], re.compile(kind["pattern"].replace("NAMES", COLOR_NAMES)))
    for kind in _STORED["attribute"]
    for name in kind["names"].split()
}


def check_svg(svg: str) -> None:
    """Raises UserError with the element and the attribute."""
    try:
        elements = list(ElementTree.fromstring(svg).iter())
    except ElementTree.ParseError as error:
        raise UserError(f"expected SVG elements, but {error}") from None
    ids = {element.get("id") for element in elements}
    for element in elements:
        tag = _name(element.tag)
        if tag not in ELEMENTS:
            raise UserError(f"expected elements of SVG, got <{tag}>{nearest(tag, ELEMENTS)}")
        for name, value in element.items():
            if _name(name) not in ATTRIBUTES:
                raise UserError(
                    f"<{tag}>: expected attributes of SVG, got {name}={value!r}{nearest(name, ATTRIBUTES)}"
                )
            expected, pattern = ATTRIBUTES[_name(name)]
            if not pattern.fullmatch(value):
                raise UserError(f"<{tag}>, {name}: expected {expected}, got {short(value, 60)!r}")
            if unknown := {*re.findall(r"url\(#([^)]+)\)", value)} - ids:
                raise UserError(f"<{tag}>, {name}: expected the id of an element, got {min(unknown)!r}")


def _name(qualified: str) -> str:
    """Without the namespace."""
    return qualified.rpartition("}")[2]
