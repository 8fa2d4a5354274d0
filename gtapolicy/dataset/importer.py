"""Reads dialogs from a local copy of the real GTA (Wang et al., NeurIPS 2024): dataset.json and image/.

The published file has some irregular entries, such as boxes in two notations. Unusable entries are skipped; a
message gives the reason for each.
"""

import json
import sys
from collections.abc import Iterator, Mapping
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import Any

from tqdm import tqdm

from gtapolicy.dataset.dialogs import Argument, Dialog, LongDialog, Step
from gtapolicy.grading.calls import compare, parse_box
from gtapolicy.policy.rules import RuleTable, Tool
from harness import images
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import refuse_outside

DATASET = "dataset.json"


class _Skip(ValueError):
    """The reason why a dialog cannot be used."""


def read(gta: Path, table: RuleTable) -> tuple[list[Dialog], Mapping[str, bytes], list[str]]:
    """The dialogs of a local copy, their images by path, and a message for each skipped entry.

    Raises UserError if the folder is not a copy of GTA, or if an image is outside the folder.
    """
    data = store.read_json(gta / DATASET, dict[str, Any])
    photos = _Photos(gta)
    dialogs: list[Dialog] = []
    skipped: list[str] = []
    for key, entry in tqdm(data.items(), desc="dialogs", unit="", delay=1):
        try:
            dialogs.append(_dialog(photos, key, entry, table))
        except _Skip as reason:
            skipped.append(f"{DATASET}, entry {key}: skipped, {reason}")
        except (KeyError, TypeError, AttributeError, IndexError, ValueError, RecursionError) as error:
            skipped.append(
                f"{DATASET}, entry {key}: skipped, not in GTA's format ({type(error).__name__}: {error})"
            )
    if not dialogs:
        raise UserError(
            f"{gta / DATASET}: expected dialogs with tool calls, got none; {'; '.join(skipped[:3])}"
        )
    return dialogs, photos.files, skipped


class _Photos:
    """The images of a copy. Each is read once."""

    def __init__(self, gta: Path) -> None:
        self.gta = gta
        # By path in the benchmark.
        self.files: dict[str, bytes] = {}
        # By path in GTA without "./". A file with another content than its suffix says gets another name.
        self.paths: dict[str, str] = {}

    def add(self, path: str) -> str:
        """The path of an image in the benchmark. Raises _Skip if it cannot be read."""
        refuse_outside(path)
        path = str(PurePosixPath(path))
        if path not in self.paths:
            try:
                data = (self.gta / path).read_bytes()
                new, content = images.stored(data, path, path)
            except OSError as error:
                raise _Skip(f"{path}: cannot be read: {error.strerror}") from error
            except UserError as error:
                raise _Skip(str(error)) from error
            if new != path and (self.gta / new).exists():
                new = path + PurePosixPath(new).suffix
            if (new, content) != (path, data):
                change = "converted" if new == path else f"stored as {new}"
                tqdm.write(f"{path}: {change}", file=sys.stderr)
            self.paths[path], self.files[new] = new, content
        return self.paths[path]

    def renamed(self, step: Step) -> Step:
        """The step with the paths of the benchmark in its arguments and its result."""
        arguments = {name: self._renamed(value) for name, value in step.arguments.items()}
        return replace(step, arguments=arguments, returned=str(self._renamed(step.returned)))

    def _renamed(self, value: Argument) -> Argument:
        return self.paths.get(str(PurePosixPath(value)), value) if isinstance(value, str) else value


def _dialog(photos: _Photos, key: str, entry: Mapping[str, Any], table: RuleTable) -> Dialog:
    paths = tuple(photos.add(file["path"]) for file in entry["files"] if file["type"] == "image")
    queries = dict(_queries(entry["dialogs"]))
    query = queries.pop(0, None)
    if query is None:
        raise _Skip("expected a text as the user's query before the first call, got None")
    steps = tuple(map(photos.renamed, _steps(entry["dialogs"], table)))
    if not steps:
        raise _Skip("it has no tool call")
    # The answer to a closed question is a dictionary of words that must or must not occur.
    is_open = not isinstance(entry.get("gt_answer"), dict)
    family = " > ".join(step.tool for step in steps)
    return LongDialog(f"gta-{int(key):04d}", family, query, paths, steps, is_open, queries)


def _queries(turns: list[Mapping[str, Any]]) -> Iterator[tuple[int, str]]:
    """The user's queries, by the index of the call that follows; queries without a call between as one."""
    calls, texts = 0, []
    for turn in turns:
        if turn["role"] == "user":
            if not isinstance(turn["content"], str):
                raise _Skip(f"expected a text as the user's query, got {turn['content']!r}")
            texts.append(turn["content"])
            yield calls, "\n".join(texts)
        elif turn["role"] == "assistant" and turn.get("tool_calls"):
            calls, texts = calls + 1, []


def _steps(turns: list[Mapping[str, Any]], table: RuleTable) -> Iterator[Step]:
    """Each tool call with its result, which is in the following turn."""
    for number, turn in enumerate(turns):
        if turn["role"] == "assistant" and turn.get("tool_calls"):
            if len(turn["tool_calls"]) > 1:
                raise _Skip(f"expected one tool call in a turn, got {len(turn['tool_calls'])}")
            function = turn["tool_calls"][0]["function"]
            tool = next((tool for tool in table.tools if tool.name == function["name"]), None)
            if tool is None:
                raise _Skip(f"the tool {function['name']!r} is not in the table of rules")
            reply = turns[number + 1] if number + 1 < len(turns) else {}
            result = reply.get("content", "") if reply.get("role") == "tool" else ""
            text = result.get("content", "") if isinstance(result, dict) else result
            yield Step(
                tool=tool.name,
                arguments=dict(_arguments(tool, function["arguments"])),
                returned=text if isinstance(text, str) else json.dumps(text, ensure_ascii=False),
                math=tool.name == "MathOCR",
            )


def _arguments(tool: Tool, arguments: Any) -> Iterator[tuple[str, Argument]]:
    """The arguments that the tool has. Others are ignored (one call of CountGivenObject has a bbox)."""
    given = json.loads(arguments) if isinstance(arguments, str) else arguments
    for argument in tool.arguments:
        value = given.get(argument.name)
        if value is not None:
            if argument.name == "bbox":
                value = _normalized_box(value)
            if not isinstance(value, (str, int, float, bool)):
                raise _Skip(
                    f"{tool.name}: expected a text, number or truth value as {argument.name}, got {value!r}"
                )
            # A value that does not match itself, such as an invalid expression, cannot be graded.
            if compare(argument, value, value) < 1:
                raise _Skip(f"{tool.name}: {argument.name} {value!r} has no value to compare with")
            yield argument.name, value
        elif argument.required:
            raise _Skip(f"{tool.name}: the argument {argument.name} is missing")


def _normalized_box(value: Any) -> str:
    """A box as "(a, b, c, d)". GTA also writes "a, b, c, d"."""
    if parse_box(value) is None:
        raise _Skip(f"bbox: expected four numbers, got {value!r}")
    numbers = str(value).strip().strip("()[]").split(",")
    return f"({', '.join(number.strip() for number in numbers)})"
