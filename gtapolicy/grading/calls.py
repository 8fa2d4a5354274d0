"""Parses the tool call in a response, and compares it with the gold call.

The score is also the reward in RL:

    score = tool / 2 + tool * arguments / 2

`tool` is 1 if the name is correct, including its version. `arguments` is the mean score of all arguments in
either call. An argument scores 0 if one call lacks it or the tool does not have it. Otherwise the name of the
argument determines how its two values are compared:

    query, text, command, ...   text similarity in [0, 1] (gtapolicy/grading/text_similarity.py)
    expression                  1 if the values of both expressions are equal (expression.py)
    bbox                        intersection over union of the two boxes
    position                    1 if equal, ignoring case and spaces; pairs of numbers are compared as numbers
    all others                  1 if equal and of the same type

The paper leaves some of these choices open (Appendix C.2). docs/gtapolicy.md lists them.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any

import msgspec

from gtapolicy.grading.expression import equal
from gtapolicy.grading.text_similarity import similarity
from gtapolicy.policy.rules import Argument, RuleTable, base_name
from harness.parsing import after_box_mark, boxed, unwrapped
from harness.records import Grade
from harness.text import normalized
from harness.thoughts import answer_in

# Arguments that are compared by text similarity (paper, Appendix C.2).
SIMILARITY_ARGUMENTS = frozenset("attribute text query command annotation keywords instruction".split())
SCORE_PARTS = ("tool", "arguments", "overall", "arguments_ungated", "base_type")
UNPARSED = Grade(0.0, "unparsed", dict.fromkeys(SCORE_PARTS, 0.0))

Json = str | int | float | bool | list[Any] | dict[str, Any] | None


class Call(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A call of a tool, whose name includes the version if the tool has versions."""

    name: str
    arguments: Mapping[str, Json]

    @classmethod
    def from_json(cls, text: str) -> Call:
        """The inverse of `to_json`."""
        return msgspec.json.decode(text, type=cls)

    def to_json(self) -> str:
        """The call as targets and gold responses write it."""
        return json.dumps({"name": self.name, "arguments": dict(self.arguments)}, ensure_ascii=False)


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


def _integer(digits: str) -> int | float:
    # Python refuses to convert thousands of digits. No argument needs more than these.
    return int(digits) if len(digits) <= 18 else float(digits)


# Python's decoder accepts NaN and Infinity, which are not JSON. It is not strict about newlines in texts.
_DECODER = json.JSONDecoder(parse_constant=_refuse_constant, parse_int=_integer, strict=False)
# Deeper values are read as null, because the depth that Python can decode depends on its stack.
MAX_DEPTH = 50
# A text, a bracket with or without a backslash, or what is between them.
_TOKEN = re.compile(r'"(?:[^"\\]|\\.)*+"?|\\?([{}\[\]])|[^"\\{}\[\]]+|\\', re.DOTALL)
_ESCAPE = re.compile(r'\\(?:u[0-9a-fA-F]{4}|["\\/bfnrt]|([_#%&$~\'])|(?P<other>.))', re.DOTALL)
_CLOSING_MARK = re.compile(r"\\?\}|<\|end_of_box\|>|</")


def parse_call(text: str) -> Call | None:
    """The call in the last box; without a box, the call in the text after the thought.

    None if there is not exactly one call.
    """
    answer = answer_in(text)
    in_box = after_box_mark(answer)
    if in_box is None:
        return _read_call(answer)
    # Decoding determines the end of the box, because texts in the call can have unbalanced braces. If that
    # fails, perhaps the call is in quotes or a LaTeX command, or the last box is incomplete.
    return _read_call(in_box, in_box=True) or _read_call(boxed(text) or "")


def _read_call(text: str, in_box: bool = False) -> Call | None:
    """The call that is all of the text, or all of the text up to the mark that closes a box."""
    text = text.strip()
    if not in_box and not text.startswith(("{", "[", "\\{")):
        text = unwrapped(text)
    text = _as_json(text)
    try:
        data, end = _DECODER.raw_decode(text)
        call = msgspec.convert(data, Call)
    except (ValueError, msgspec.ValidationError):
        return None
    rest = text[end:].strip().removeprefix(".")
    ends = _CLOSING_MARK.match(rest) if in_box else not rest
    return Call(normalized(call.name).strip(), call.arguments) if ends else None


def _as_json(text: str) -> str:
    r"""The text with valid escapes, \_ and similar escapes of LaTeX removed, and deep values set to null.

    Between the texts, other forms of quotes, commas, colons and spaces are read as the plain ones.
    """
    if text.startswith("\\{"):  # then all braces are escaped
        text = text.replace("\\{", "{").replace("\\}", "}")
    pieces, depth = [], 0
    for token in _TOKEN.finditer(text.replace("\\\\_", "\\_")):
        opens, closes = token[1] in ("{", "["), token[1] in ("}", "]")
        if depth + opens <= MAX_DEPTH:
            is_text = token[0].startswith('"')
            pieces.append(
                token[1] or _ESCAPE.sub(_valid_escape, token[0] if is_text else normalized(token[0]))
            )
        elif depth == MAX_DEPTH:
            pieces.append("null")
        depth += opens - closes
    return "".join(pieces)


def _valid_escape(escape: re.Match[str]) -> str:
    return "\\" + escape[0] if escape["other"] else escape[1] or escape[0]


def score_call(call: Call | None, gold: Call, table: RuleTable) -> Grade:
    """The grade of a call, or of a response without one.

    The part `overall` is the score. `arguments` is 0 if the tool is wrong, `arguments_ungated` is the mean
    over the arguments in any case, and `base_type` is 1 if the name without its version is correct.
    """
    if call is None:
        return UNPARSED
    tool = float(call.name == gold.name)
    scores = argument_scores(call, gold, table).values()
    arguments = sum(scores) / len(scores) if scores else 1.0
    overall = 0.5 * tool + 0.5 * tool * arguments
    base_type = float(base_name(call.name) == base_name(gold.name))
    parts = (tool, tool * arguments, overall, arguments, base_type)
    return Grade(overall, parts=dict(zip(SCORE_PARTS, parts, strict=True)))


def argument_scores(call: Call, gold: Call, table: RuleTable) -> dict[str, float]:
    """The score of each argument in either call, after adding the defaults to both."""
    schema = {argument.name: argument for argument in table.tool(base_name(gold.name)).arguments}
    defaults = {name: argument.default for name, argument in schema.items() if not argument.required}
    given, correct = {**defaults, **call.arguments}, {**defaults, **gold.arguments}
    both = schema.keys() & given.keys() & correct.keys()
    scores = {name: compare(schema[name], given[name], correct[name]) for name in both}
    return {name: scores.get(name, 0.0) for name in {**given, **correct}}


def compare(argument: Argument, given: Json, correct: Json) -> float:
    """How similar two values of an argument are, in [0, 1]."""
    given, correct = (convert(_canonical(value), argument.type) for value in (given, correct))
    if given is None and correct is None:  # an optional argument that both omit
        return 1.0
    if argument.name in SIMILARITY_ARGUMENTS:
        return similarity(_text(given), _text(correct))
    if argument.name == "expression":
        return float(isinstance(given, str) and isinstance(correct, str) and equal(given, correct))
    if argument.name == "bbox":
        return iou(parse_box(given), parse_box(correct))
    if argument.name == "position":
        return float(_position(given) == _position(correct))
    # The types are compared because True == 1 in Python, but not for a tool.
    return float(type(given) is type(correct) and given == correct)


def convert(value: Any, type_: str) -> Any:
    """Converts a value to the type in the tool's schema, such as "1" to 1, if the conversion is lossless."""
    if type_ == "int" and isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d{1,18}\s*", value):
        return int(value)
    if type_ == "int" and isinstance(value, float) and value.is_integer():
        return int(value)
    if type_ == "bool" and isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if type_ == "text" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return value


def _canonical(value: Json) -> Json:
    return re.sub(r"\\([_#%&$])", r"\1", normalized(value)) if isinstance(value, str) else value


def _text(value: Json) -> str:
    r"""A value as a text. JSON reads \f in \frac as a control character, so both forms are blanks here."""
    text = value if isinstance(value, str) else "" if value is None else json.dumps(value, ensure_ascii=False)
    return re.sub(r"\\[bfnrt]|[\b\f\n\r\t]", " ", text)


# x1, y1, x2, y2 with x1 <= x2 and y1 <= y2, in pixels.
Box = tuple[float, float, float, float]


def parse_box(value: Json) -> Box | None:
    """Four finite numbers, written "(a, b, c, d)", "a, b, c, d" or as a list; None for anything else."""
    pieces = value.strip().strip("()[]").split(",") if isinstance(value, str) else value
    if not isinstance(pieces, list) or len(pieces) != 4 or any(isinstance(piece, bool) for piece in pieces):
        return None
    try:
        a, b, c, d = (float(piece) for piece in pieces)
    except (TypeError, ValueError, OverflowError):
        return None
    # Any two opposite corners describe the same box.
    corners = min(a, c), min(b, d), max(a, c), max(b, d)
    return corners if all(map(math.isfinite, corners)) else None


def iou(one: Box | None, other: Box | None) -> float:
    """Intersection over union; 0 if a box is missing or has no area."""
    if one is None or other is None:
        return 0.0
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)]
    shared = max(width, 0.0) * max(height, 0.0)
    union = sum(areas) - shared
    return shared / union if min(areas) > 0 and math.isfinite(union) else 0.0


def _position(value: Json) -> Json | tuple[float, ...]:
    """A pair of numbers as floats; any other text in lower case, without surrounding spaces."""
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    if not isinstance(value, str):
        return value
    pair = re.fullmatch(r"[(\[]?\s*(-?\d+(?:\.\d+)?)\s*,\s*(-?\d+(?:\.\d+)?)\s*[)\]]?", value.strip())
    return tuple(map(float, pair.groups())) if pair else value.strip().lower()
