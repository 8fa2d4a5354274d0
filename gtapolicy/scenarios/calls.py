"""The tool calls of dialogs, with the results of the tools. There is one function per tool.

An origin says where the value of an argument comes from. It becomes part of the chain of thought.
"""

import math
import re
from collections.abc import Mapping, Sequence

from gtapolicy.dataset.dialogs import Argument, Step
from gtapolicy.grading.expression import evaluate
from gtapolicy.pictures.camera import CameraView
from gtapolicy.pictures.pen import Box

# The number of results that a search requests for a question with one answer, and for an open question.
CLOSED_RESULTS, OPEN_RESULTS = 1, 4
# The color of AddText if the call has no color.
DEFAULT_TEXT_COLOR = "red"
# An origin that several calls share.
QUERY_IMAGE = "the image of the query"


def _step(
    tool: str, tip: str, arguments: Mapping[str, tuple[Argument, str]], returned: str, math: bool = False
) -> Step:
    """A step that follows from a tip, with each argument given as (value, origin)."""
    values = {name: value for name, (value, _) in arguments.items()}
    origins = {name: origin for name, (_, origin) in arguments.items()}
    return Step(tool, values, returned, math, origins, tip)


def ocr(path: str, view: CameraView, tip: str) -> Step:
    returned = "\n".join(f"{format_box(line.box)} {line.text}" for line in view.lines)
    return _step("OCR", tip, {"image": (path, "the image to read")}, returned)


def math_ocr(path: str, latex: Sequence[str], tip: str) -> Step:
    image = path, "the image with the mathematics"
    return _step("MathOCR", tip, {"image": image}, "\n".join(latex), math=True)


def solve(command: str, result: str) -> Step:
    """A call of Solver with SymPy commands."""
    code = f"from sympy import *\n{command}"
    return _step("Solver", "solve", {"command": (code, "the mathematics that MathOCR read")}, result)


def plot(path: str, command: str, origin: str, tip: str) -> Step:
    """A call of Plot with matplotlib commands. The path of the plot is derived from the path of the image."""
    return _step("Plot", tip, {"command": (command, origin)}, generated_path(path))


def describe(path: str, sentence: str, tip: str) -> Step:
    image = path, "an image not described yet"
    return _step("ImageDescription", tip, {"image": image}, fix_articles(sentence))


def count(
    path: str, noun: str, number: int, tip: str = "", origin: str = "what the query wants counted"
) -> Step:
    arguments = {"image": (path, "the image to count in"), "text": (noun, origin)}
    return _step("CountGivenObject", tip, arguments, str(number))


def calculate(expression: str, origin: str) -> Step:
    result = format_number(evaluate(expression))
    return _step("Calculator", "arithmetic", {"expression": (expression, origin)}, result)


def search(
    query: str, results: Sequence[str], origin: str, tip: str = "search", open_question: bool = False
) -> Step:
    """A search that requests, and returns, as many results as the kind of question needs."""
    k = OPEN_RESULTS if open_question else CLOSED_RESULTS
    returned = "\n".join(f"{number}. {result}" for number, result in enumerate(results[:k], 1))
    kind = "an open question" if open_question else "a question with one answer"
    return _step("GoogleSearch", tip, {"query": (query, origin), "k": (k, kind)}, returned)


def find(path: str, noun: str, boxes: Sequence[Box], tip: str = "region", image: str = QUERY_IMAGE) -> Step:
    """A call of TextToBbox for one box, or for all boxes if there are several."""
    arguments: dict[str, tuple[Argument, str]] = {
        "image": (path, image),
        "text": (noun, "what the query is about"),
    }
    if len(boxes) > 1:
        arguments["top1"] = (False, "all of them are wanted")
    return _step("TextToBbox", tip, arguments, "\n".join(map(format_box, boxes)))


def region(
    path: str, box: Box, attribute: str, returned: str, tip: str = "region", which: str = "the box"
) -> Step:
    arguments = {
        "image": (path, QUERY_IMAGE),
        "bbox": (format_box(box), f"{which} that TextToBbox found"),
        "attribute": (attribute, "what the query asks about it"),
    }
    return _step("RegionAttributeDescription", tip, arguments, returned)


def draw_box(path: str, view: CameraView, line: Box, annotation: str = "") -> Step:
    """A box around a line that OCR read; `line` is the box of the line on the canvas."""
    box = format_box(view.box(line))
    arguments = {"image": (path, QUERY_IMAGE), "bbox": (box, "the box of the line that OCR read")}
    if annotation:
        origin = "what the query wants written, out of the lines that OCR read"
        arguments["annotation"] = (annotation, origin)
    return _step("DrawBox", "boxes", arguments, generated_path(path))


def imagine(path: str, keywords: str, origin: str, tip: str) -> Step:
    """A call of TextToImage. The path of the new picture is derived from the path of the image."""
    return _step("TextToImage", tip, {"keywords": (fix_articles(keywords), origin)}, generated_path(path))


def stylize(path: str, style: str) -> Step:
    instruction = f"turn the image into {style}", "the policy's words, and the style in the query"
    arguments = {"image": (path, QUERY_IMAGE), "instruction": instruction}
    return _step("ImageStylization", "restyle", arguments, generated_path(path))


def add_text(path: str, text: str, position: str, color: str, position_origin: str) -> Step:
    """A text on the stylized version of the image at this path."""
    arguments = {
        "image": (generated_path(path), "the image that ImageStylization returned"),
        "text": (text, "the query's words"),
        "position": (position, position_origin),
    }
    if color != DEFAULT_TEXT_COLOR:
        arguments["color"] = (color, "the query's color")
    return _step("AddText", "write", arguments, generated_path(path).replace(".jpg", "_text.jpg"))


def fix_articles(text: str) -> str:
    """Replaces "a" by "an" before vowels, because sentences are composed with "a" before every noun."""
    return re.sub(r"\b([Aa]) (?=[aeiou])", r"\1n ", text)


def generated_path(path: str) -> str:
    """The path of the image that a tool generates from another image."""
    return path.replace("image_", "generated_")


def format_box(box: Box) -> str:
    """A box in the notation of the policy."""
    return "({:.0f}, {:.0f}, {:.0f}, {:.0f})".format(*box)


def format_number(number: float) -> str:
    """Up to six decimals, without trailing zeros."""
    if not math.isfinite(number):
        raise ValueError(f"expected a finite number, got {number}")
    return f"{number:.6f}".rstrip("0").rstrip(".")
