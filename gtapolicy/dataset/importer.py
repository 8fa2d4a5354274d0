"""The real GTA from a local copy (Wang et al., NeurIPS 2024): dataset.json and image/ as distributed.

Every oddity of the file is met by a rule here; what cannot be used is skipped by name, never silently.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from gtapolicy.dataset.dialogs import Argument, Dialog, Step
from gtapolicy.grading.calls import box, compare
from gtapolicy.policy.rules import Table, Tool
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import refuse_outside

DATASET = "dataset.json"


class _Skip(ValueError):
    """Why a dialog cannot be used."""


def read(gta: Path, table: Table) -> tuple[list[Dialog], list[str]]:
    """The dialogs of a local copy, and a line for each that was skipped.

    Raises UserError where the folder is not one of GTA, or an image is missing or outside of it.
    """
    data = store.read_json(gta / DATASET, dict[str, Any])
    dialogs: list[Dialog] = []
    skipped: list[str] = []
    for key, entry in data.items():
        try:
            dialogs.append(_dialog(gta, key, entry, table))
        except _Skip as reason:
            skipped.append(f"{DATASET}, entry {key}: skipped, {reason}")
        except (KeyError, TypeError, AttributeError, IndexError, ValueError, RecursionError) as error:
            skipped.append(
                f"{DATASET}, entry {key}: skipped, not as GTA writes it ({type(error).__name__}: {error})"
            )
    if not dialogs:
        raise UserError(
            f"{gta / DATASET}: expected dialogs with tool calls, got none; {'; '.join(skipped[:3])}"
        )
    return dialogs, skipped


def _dialog(gta: Path, key: str, entry: Mapping[str, Any], table: Table) -> Dialog:
    images = tuple(file["path"] for file in entry["files"] if file["type"] == "image")
    for path in images:
        refuse_outside(path)
        if not (gta / path).is_file():
            raise UserError(f"{gta / path}: no such file; expected the image that entry {key} names")
    query = next((turn["content"] for turn in entry["dialogs"] if turn["role"] == "user"), None)
    if not isinstance(query, str):
        raise _Skip(f"expected a text as the user's query, got {query!r}")
    steps = tuple(_steps(entry["dialogs"], table))
    if not steps:
        raise _Skip("it has no tool call")
    return Dialog(
        f"gta-{int(key):04d}", _chain(steps), query, images, steps, _is_open(entry.get("gt_answer"))
    )


def _steps(turns: list[Mapping[str, Any]], table: Table) -> Iterator[Step]:
    """Each call with the result that follows it."""
    for number, turn in enumerate(turns):
        if turn["role"] == "assistant" and turn.get("tool_calls"):
            if len(turn["tool_calls"]) > 1:
                raise _Skip(f"expected one tool call in a turn, got {len(turn['tool_calls'])}")
            function = turn["tool_calls"][0]["function"]
            tool = next((tool for tool in table.tools if tool.name == function["name"]), None)
            if tool is None:
                raise _Skip(f"the tool {function['name']!r} is not in the table of rules")
            answered = turns[number + 1] if number + 1 < len(turns) else {}
            returned = answered.get("content", "") if answered.get("role") == "tool" else ""
            text = returned.get("content", "") if isinstance(returned, dict) else returned
            yield Step(
                tool=tool.name,
                arguments=dict(_arguments(tool, function["arguments"])),
                returned=text if isinstance(text, str) else json.dumps(text, ensure_ascii=False),
                math=tool.name == "MathOCR",
            )


def _arguments(tool: Tool, arguments: Any) -> Iterator[tuple[str, Argument]]:
    """Those that the tool has (CountGivenObject once has a bbox too), boxes in one way of writing."""
    given = json.loads(arguments) if isinstance(arguments, str) else arguments
    for argument in tool.arguments:
        value = given.get(argument.name)
        if value is not None:
            if argument.name == "bbox":
                value = _box(value)
            if not isinstance(value, (str, int, float, bool)):
                raise _Skip(
                    f"{tool.name}: expected a text, number or truth value as {argument.name}, got {value!r}"
                )
            if compare(argument, value, value) < 1:
                raise _Skip(f"{tool.name}: {argument.name} {value!r} has no value to compare with")
            yield argument.name, value
        elif argument.required:
            raise _Skip(f"{tool.name}: the argument {argument.name} is missing")


def _box(value: Any) -> str:
    """GTA writes "(a, b, c, d)" and "a, b, c, d"."""
    found = box(value)
    if found is None:
        raise _Skip(f"bbox: expected four numbers, got {value!r}")
    numbers = (str(value).strip().strip("()[]")).split(",")
    return f"({', '.join(number.strip() for number in numbers)})"


def _chain(steps: tuple[Step, ...]) -> str:
    return " > ".join(step.tool for step in steps)


def _is_open(answer: Any) -> bool:
    """A question is closed when its answer is checked against words that must occur."""
    return not isinstance(answer, dict)
