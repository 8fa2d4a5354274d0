"""The tool calls that dialogs consist of, one function per tool, each with what the tool returns.

`origin` and `origins` say, for the chain of thought, where the value of an argument comes from.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from gtapolicy.dataset.dialogs import Argument, Step
from gtapolicy.grading.expression import evaluate
from gtapolicy.pictures.camera import CameraView
from gtapolicy.pictures.canvas import Box

# How many results a search requests: for a question with one answer, and for an open question.
CLOSED_RESULTS, OPEN_RESULTS = 1, 4
# The color in which AddText writes if it is not given one.
DEFAULT_TEXT_COLOR = "red"


def ocr(path: str, view: CameraView) -> Step:
    returned = "\n".join(f"{format_box(line.box)} {line.text}" for line in view.lines)
    return Step("OCR", {"image": path}, returned, origins={"image": "the image to read"})


def math_ocr(path: str, latex: Sequence[str]) -> Step:
    origins = {"image": "the image with the mathematics"}
    return Step("MathOCR", {"image": path}, "\n".join(latex), True, origins)


def solve(command: str, result: str) -> Step:
    """Commands in SymPy."""
    code = f"from sympy import *\n{command}"
    return Step("Solver", {"command": code}, result, origins={"command": "the mathematics that MathOCR read"})


def plot(path: str, command: str, origin: str) -> Step:
    """Commands for matplotlib. The plot is stored as if it were generated from the image at this path."""
    return Step("Plot", {"command": command}, generated_path(path), origins={"command": origin})


def describe(path: str, sentence: str) -> Step:
    origins = {"image": "an image not described yet"}
    return Step("ImageDescription", {"image": path}, with_articles(sentence), origins=origins)


def count(path: str, noun: str, number: int, origin: str = "what the query wants counted") -> Step:
    arguments: dict[str, Argument] = {"image": path, "text": noun}
    origins = {"image": "the image to count in", "text": origin}
    return Step("CountGivenObject", arguments, str(number), origins=origins)


def calculate(expression: str, origin: str) -> Step:
    result = format_number(evaluate(expression))
    return Step("Calculator", {"expression": expression}, result, origins={"expression": origin})


def search(query: str, results: Sequence[str], origin: str, open_question: bool = False) -> Step:
    """Returns as many of the results as the kind of question requests."""
    k = OPEN_RESULTS if open_question else CLOSED_RESULTS
    returned = "\n".join(f"{number}. {result}" for number, result in enumerate(results[:k], 1))
    kind = "an open question" if open_question else "a question with one answer"
    return Step("GoogleSearch", {"query": query, "k": k}, returned, origins={"query": origin, "k": kind})


def find(path: str, noun: str, boxes: Sequence[Box]) -> Step:
    """One box, or all boxes if there are several."""
    arguments: dict[str, Argument] = {"image": path, "text": noun}
    origins = {"image": "the image of the query", "text": "what the query is about"}
    if len(boxes) > 1:
        arguments["top1"] = False
        origins["top1"] = "all of them are wanted"
    return Step("TextToBbox", arguments, "\n".join(map(format_box, boxes)), origins=origins)


def region(path: str, box: Box, attribute: str, returned: str, which: str = "the box") -> Step:
    arguments: dict[str, Argument] = {"image": path, "bbox": format_box(box), "attribute": attribute}
    origins = {
        "image": "the image of the query",
        "bbox": f"{which} that TextToBbox found",
        "attribute": "what the query asks about it",
    }
    return Step("RegionAttributeDescription", arguments, returned, origins=origins)


def draw_box(path: str, view: CameraView, line: Box, annotation: str = "") -> Step:
    """Around a line that OCR read, given by its box on the canvas."""
    arguments: dict[str, Argument] = {"image": path, "bbox": format_box(view.box(line))}
    origins = {"image": "the image of the query", "bbox": "the box of the line that OCR read"}
    if annotation:
        arguments["annotation"] = annotation
        origins["annotation"] = "what the query wants written, out of the lines that OCR read"
    return Step("DrawBox", arguments, generated_path(path), origins=origins)


def imagine(path: str, keywords: str, origin: str) -> Step:
    """A new picture, stored as if it were generated from the image at this path."""
    arguments: dict[str, Argument] = {"keywords": with_articles(keywords)}
    return Step("TextToImage", arguments, generated_path(path), origins={"keywords": origin})


def stylize(path: str, noun: str, style: str) -> Step:
    arguments = {"image": path, "instruction": f"turn the {noun} into {style}"}
    origins = {
        "image": "the image of the query",
        "instruction": "what the description shows, and the style in the query",
    }
    return Step("ImageStylization", arguments, generated_path(path), origins=origins)


def add_text(path: str, text: str, position: str, color: str, position_origin: str) -> Step:
    """On the stylized version of the image at this path."""
    arguments = {"image": generated_path(path), "text": text, "position": position}
    origins = {
        "image": "the image that ImageStylization returned",
        "text": "the query's words",
        "position": position_origin,
    }
    if color != DEFAULT_TEXT_COLOR:
        arguments["color"] = color
        origins["color"] = "the query's color"
    return Step("AddText", arguments, generated_path(path).replace(".jpg", "_text.jpg"), origins=origins)


def with_articles(text: str) -> str:
    """Replaces "a" by "an" before a vowel; sentences composed of parts have "a" before every noun."""
    return re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)


def generated_path(path: str) -> str:
    """Where a tool stores the image that it generates from another."""
    return path.replace("image_", "generated_")


def format_box(box: Box) -> str:
    """As the policy writes boxes."""
    return "({:.0f}, {:.0f}, {:.0f}, {:.0f})".format(*box)


def format_number(number: float) -> str:
    """Up to six decimals, without trailing zeros."""
    if not math.isfinite(number):
        raise ValueError(f"expected a finite number, got {number}")
    return f"{number:.6f}".rstrip("0").rstrip(".")
