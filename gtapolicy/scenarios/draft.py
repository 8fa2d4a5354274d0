"""A dialog in the making, and the calls that dialogs are made of, each with what its tool returns."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random

from gtapolicy.dataset.dialogs import Argument, Step
from gtapolicy.grading.expression import evaluate
from gtapolicy.pictures.camera import CameraView
from gtapolicy.pictures.canvas import Box

CLOSED, OPEN = 1, 4
"""How many results a search asks for, by the kind of question."""


@dataclass(frozen=True, slots=True)
class Draft:
    """All of a dialog but its id and family."""

    query: str
    shots: tuple[CameraView, ...]
    steps: tuple[Step, ...]
    open: bool = False


Maker = Callable[[Random, tuple[str, ...]], Draft]
"""Makes a draft about images of these paths."""


def ocr(path: str, shot: CameraView) -> Step:
    read = "\n".join(f"{bbox(line.box)} {line.text}" for line in shot.lines)
    return Step("OCR", {"image": path}, read, origins={"image": "the image to read"})


def math_ocr(path: str, latex: Sequence[str]) -> Step:
    return Step(
        "MathOCR", {"image": path}, "\n".join(latex), True, {"image": "the image with the mathematics"}
    )


def describe(path: str, sentence: str) -> Step:
    return Step(
        "ImageDescription",
        {"image": path},
        with_articles(sentence),
        origins={"image": "an image not described yet"},
    )


def count(path: str, thing: str, number: int, origin: str = "what the query wants counted") -> Step:
    arguments: dict[str, Argument] = {"image": path, "text": thing}
    return Step(
        "CountGivenObject", arguments, str(number), origins={"image": "the image to count in", "text": origin}
    )


def calculate(expression: str, origin: str) -> Step:
    return Step(
        "Calculator", {"expression": expression}, plain(evaluate(expression)), origins={"expression": origin}
    )


def reckoned(query: str, path: str, shot: CameraView, expression: str, origin: str) -> Draft:
    """A picture is read, and its numbers are reckoned with."""
    return Draft(query, (shot,), (ocr(path, shot), calculate(expression, origin)))


def search(query: str, results: Sequence[str], origin: str, open_question: bool = False) -> Step:
    """As many of the results as the kind of question asks for."""
    k = OPEN if open_question else CLOSED
    found = "\n".join(f"{number}. {result}" for number, result in enumerate(results[:k], 1))
    kind = "an open question" if open_question else "a question with one answer"
    return Step("GoogleSearch", {"query": query, "k": k}, found, origins={"query": origin, "k": kind})


def find(path: str, thing: str, boxes: Sequence[Box], origin: str = "what the query is about") -> Step:
    """One box, or all where there are several."""
    arguments: dict[str, Argument] = {"image": path, "text": thing}
    origins = {"image": "the image of the query", "text": origin}
    if len(boxes) > 1:
        arguments["top1"] = False
        origins["top1"] = "all of them are wanted"
    return Step("TextToBbox", arguments, "\n".join(map(bbox, boxes)), origins=origins)


def region(path: str, box: Box, attribute: str, returned: str, which: str = "the box") -> Step:
    arguments: dict[str, Argument] = {"image": path, "bbox": bbox(box), "attribute": attribute}
    origins = {
        "image": "the image of the query",
        "bbox": f"{which} that TextToBbox found",
        "attribute": "what the query asks about it",
    }
    return Step("RegionAttributeDescription", arguments, returned, origins=origins)


def draw_box(path: str, shot: CameraView, box: Box, annotation: str = "") -> Step:
    """Around a line that OCR read; box in pixels of the canvas."""
    arguments: dict[str, Argument] = {"image": path, "bbox": bbox(shot.box(box))}
    origins = {"image": "the image of the query", "bbox": "the box of the line that OCR read"}
    if annotation:
        arguments["annotation"] = annotation
        origins["annotation"] = "what the query wants written, out of the lines that OCR read"
    return Step("DrawBox", arguments, made(path), origins=origins)


def imagine(path: str, keywords: str, origin: str) -> Step:
    """A new picture, stored as if it were made of the image at this path."""
    return Step(
        "TextToImage", {"keywords": with_articles(keywords)}, made(path), origins={"keywords": origin}
    )


def with_articles(text: str) -> str:
    """Sentences put together from parts say "a" before every noun; this makes it "an" before a vowel."""
    return re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)


def made(path: str) -> str:
    """Where a tool stores the image that it makes of another."""
    return path.replace("image_", "generated_")


def bbox(box: Box) -> str:
    """As the policy writes boxes."""
    return "({:.0f}, {:.0f}, {:.0f}, {:.0f})".format(*box)


def plain(number: float) -> str:
    """Without the tail of binary fractions."""
    if not math.isfinite(number):
        raise ValueError(f"expected a finite number, got {number}")
    return f"{number:.6f}".rstrip("0").rstrip(".")
