"""Drafts, from which a dialog and its pictures are derived. A maker is a function that creates a draft.

A dialog and each of its pictures come from separate calls of the same maker. Therefore a maker uses only the
random generator that it receives. The order of its random choices must not change, because benchmark digests
depend on it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from gtapolicy.dataset.dialogs import Step
from gtapolicy.pictures.camera import CameraView
from gtapolicy.pictures.pen import Box
from gtapolicy.scenarios.calls import calculate, draw_box, ocr


@dataclass(frozen=True, slots=True)
class Draft:
    """A dialog without its id and family, and a view for each of its images."""

    query: str
    views: tuple[CameraView, ...]
    steps: tuple[Step, ...]
    # Whether the question is open-ended.
    open: bool = False


# Creates a draft, given the paths that its images will have.
Maker = Callable[[Random, tuple[str, ...]], Draft]


def read_and_calculate(query: str, path: str, view: CameraView, expression: str, origin: str) -> Draft:
    """OCR, then Calculator. `origin` says where the numbers of the expression come from."""
    return Draft(query, (view,), (ocr(path, view, "arithmetic"), calculate(expression, origin)))


def read_and_box(query: str, path: str, view: CameraView, line: Box, annotation: str = "") -> Draft:
    """OCR, then DrawBox around a line of text; `line` is the box of the line on the canvas."""
    return Draft(query, (view,), (ocr(path, view, "boxes"), draw_box(path, view, line, annotation)))
