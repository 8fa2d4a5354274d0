"""A tool call: read from a response, compared with the right one. The score is also the reward of RL.

Where the paper (Appendix C.2) leaves a choice open, it is made here and said in docs/gtapolicy.md.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from gtapolicy.grading.expression import equal
from gtapolicy.grading.text_similarity import similarity
from gtapolicy.policy import rules
from gtapolicy.policy.rules import Argument, Table, base_name
from harness.parsing import after_thinking, boxed, unwrapped
from harness.records import Grade

TEXTS = frozenset("attribute text query command annotation keywords instruction".split())
"""Arguments compared by similarity; all others but expression and bbox exactly (paper, Appendix C.2)."""

Json = str | int | float | bool | list[Any] | dict[str, Any] | None


@dataclass(frozen=True, slots=True)
class Call:
    """A callable name, with its version if it has one, and arguments by name."""

    name: str
    arguments: Mapping[str, Json]


class CallError(ValueError):
    """Names why a text is not one call."""


def parse_call(text: str) -> Call:
    """The call {"name": ..., "arguments": {...}} in the last box, or in the text alone after thinking.

    Raises CallError naming the fault.
    """
    if "<think>" in text and "</think>" not in text:
        raise CallError("expected a call after thinking, got a think block that does not end")
    _, box, answer = after_thinking(text).rpartition(r"\boxed{")
    if not box:
        answer = unwrapped(answer)
    elif not answer.lstrip().startswith(("{", "[")):
        answer = unwrapped(boxed(text) or answer) + "}"
    try:
        # Not by counting braces: a text inside the call may hold one alone.
        data, end = _JSON.raw_decode(answer.lstrip())
    except (ValueError, RecursionError) as error:
        raise CallError(f"expected a call as JSON, got {answer[:60]!r}: {error}") from error
    rest = answer.lstrip()[end:].strip().removeprefix(".")
    if not (rest.startswith("}") if box else rest == ""):
        raise CallError(f"expected one call as JSON, got more behind it: {rest[:40]!r}")
    if isinstance(data, list):
        raise CallError(f"expected one call, got a list of {len(data)}")
    if not isinstance(data, dict) or set(data) != {"name", "arguments"}:
        raise CallError('expected an object with "name" and "arguments", and nothing else')
    if not isinstance(data["name"], str):
        raise CallError(f"name: expected a text, got {data['name']!r}")
    if not isinstance(data["arguments"], dict):
        raise CallError(f"arguments: expected an object, got {type(data['arguments']).__name__}")
    return Call(data["name"].strip(), data["arguments"])


def _refuse_constant(name: str) -> None:
    raise ValueError(f"{name} is not JSON")


_JSON = json.JSONDecoder(parse_constant=_refuse_constant)


def score_call(call: Call | None, gold: Call, table: Table | None = None) -> Grade:
    """How right a call is; None (no call could be read) scores 0.

    parts: tool (the versioned name is right), arguments (mean over their names; 0 when the tool is wrong),
    overall (half tool, half arguments: also the value), arguments_ungated, base_type (the tool's name alone).
    """
    if call is None:
        names = ("tool", "arguments", "overall", "arguments_ungated", "base_type")
        return Grade(0.0, "unparsed", dict.fromkeys(names, 0.0))
    tool = float(call.name == gold.name)
    ungated = _arguments(call, gold, table or _default())
    overall = 0.5 * tool + 0.5 * tool * ungated
    parts = {
        "tool": tool,
        "arguments": tool * ungated,
        "overall": overall,
        "arguments_ungated": ungated,
        "base_type": float(base_name(call.name) == base_name(gold.name)),
    }
    return Grade(overall, parts=parts)


@cache
def _default() -> Table:
    return rules.load()


def _arguments(call: Call, gold: Call, table: Table) -> float:
    """Mean over the union of argument names, after both sides got the defaults of the gold call's tool."""
    schema = {argument.name: argument for argument in table.tool(base_name(gold.name)).arguments}
    defaults = {name: argument.default for name, argument in schema.items() if not argument.required}
    said, right = {**defaults, **call.arguments}, {**defaults, **gold.arguments}
    names = said.keys() | right.keys()
    scores = [
        compare(schema[name], said[name], right[name])
        if name in said and name in right and name in schema
        else 0.0
        for name in names
    ]
    return sum(scores) / len(scores) if scores else 1.0


def compare(argument: Argument, said: Json, right: Json) -> float:
    """Likeness of two values of an argument, in [0, 1], by the argument's name."""
    said, right = coerced(said, argument.type), coerced(right, argument.type)
    if said is None and right is None:  # left out by both
        return 1.0
    if argument.name in TEXTS:
        return similarity(_text(said), _text(right))
    if argument.name == "expression":
        return float(isinstance(said, str) and isinstance(right, str) and equal(said, right))
    if argument.name == "bbox":
        return iou(box(said), box(right))
    if argument.name == "position":
        return float(_position(said) == _position(right))
    # True is 1 to Python, but not to a tool.
    return float(type(said) is type(right) and said == right)


def coerced(value: Json, type_: str) -> Json:
    """The value as the schema's type where nothing is lost: "1" as 1, "true" as true; else as it is."""
    if type_ == "int" and isinstance(value, str) and re.fullmatch(r"\s*[+-]?\d{1,18}\s*", value):
        return int(value)
    if type_ == "int" and isinstance(value, float) and value.is_integer():
        return int(value)
    if type_ == "bool" and isinstance(value, str) and value.strip().lower() in ("true", "false"):
        return value.strip().lower() == "true"
    if type_ == "text" and isinstance(value, (int, float)) and not isinstance(value, bool):
        return str(value)
    return value


def _text(value: Json) -> str:
    return value if isinstance(value, str) else "" if value is None else json.dumps(value)


Box = tuple[float, float, float, float]


def box(value: Json) -> Box | None:
    """Four finite numbers, written "(a, b, c, d)", "a, b, c, d" or as a list; None for anything else."""
    if isinstance(value, str):
        pieces: list[Any] = value.strip().strip("()[]").split(",")
    elif isinstance(value, list):
        pieces = value
    else:
        return None
    if len(pieces) != 4 or any(isinstance(piece, bool) for piece in pieces):
        return None
    try:
        a, b, c, d = (float(piece) for piece in pieces)
    except (TypeError, ValueError, OverflowError):
        return None
    corners = min(a, c), min(b, d), max(a, c), max(b, d)
    return corners if all(map(math.isfinite, corners)) else None


def iou(one: Box | None, other: Box | None) -> float:
    """Intersection over union; 0 where a box is missing or has no area."""
    if one is None or other is None:
        return 0.0
    width = min(one[2], other[2]) - max(one[0], other[0])
    height = min(one[3], other[3]) - max(one[1], other[1])
    areas = [(b[2] - b[0]) * (b[3] - b[1]) for b in (one, other)]
    shared = max(width, 0.0) * max(height, 0.0)
    union = sum(areas) - shared
    return shared / union if min(areas) > 0 and math.isfinite(union) else 0.0


def _position(value: Json) -> Json | tuple[float, ...]:
    """Words without case and blanks around; a pair of numbers as numbers."""
    if isinstance(value, list):
        value = ", ".join(map(str, value))
    if not isinstance(value, str):
        return value
    pair = re.fullmatch(r"[(\[]?\s*(-?\d+(?:\.\d+)?)\s*,\s*(-?\d+(?:\.\d+)?)\s*[)\]]?", value.strip())
    return tuple(map(float, pair.groups())) if pair else value.strip().lower()
