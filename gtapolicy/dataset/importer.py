"""Reads dialogs from a local copy of the real GTA (Wang et al., NeurIPS 2024): dataset.json and image/.

The published file has some irregular entries, such as boxes in two notations. Unusable entries are skipped; a
message gives the reason for each.
"""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path, PurePosixPath
from typing import Any

import msgspec
from msgspec import DecodeError

from gtapolicy.dataset.dialogs import Argument, Dialog, Step
from gtapolicy.grading.calls import Call, compare, parse_box, parse_call
from gtapolicy.policy.rules import RuleTable, Tool
from harness import images
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import refuse_outside
from harness.progress import Bar, note
from harness.text import printable, reason, short

DATASET = "dataset.json"
# What an entry in another format raises.
NOT_GTA = (LookupError, TypeError, AttributeError, ValueError, RecursionError, DecodeError)


def read(gta: Path, table: RuleTable) -> tuple[list[Dialog], Mapping[str, bytes], list[str]]:
    """The dialogs of a local copy, their images by path, and a message for each skipped entry.

    Raises UserError if the folder is not a copy of GTA.
    """
    data = store.read_json(gta / DATASET, dict[str, Any])
    photos = _Photos(gta)
    dialogs: dict[str, Dialog] = {}
    skipped: list[str] = []
    for key, entry in Bar(data.items(), desc="dialogs", unit="", delay=1):
        try:
            dialog = _dialog(photos, key, entry, table)
            if dialog.id in dialogs:
                raise UserError(f"another entry has its number, {int(key)}")
            dialogs[dialog.id] = dialog
        except (UserError, *NOT_GTA) as error:
            why = reason(error) if isinstance(error, UserError) else f"not in GTA's format ({reason(error)})"
            skipped.append(f"{DATASET}, entry {short(printable(key))}: skipped, {why}")
    if not dialogs:
        found = "; ".join(["none", *skipped[:3]])
        raise UserError(f"{gta / DATASET}: expected dialogs with tool calls, got {found}")
    return list(dialogs.values()), photos.files, skipped


class _Photos:
    """The images of a copy. Each is read once."""

    def __init__(self, gta: Path) -> None:
        self.gta = gta
        # The content by path in the benchmark.
        self.files: dict[str, bytes] = {}
        # By path in GTA without "./". A file with another content than its suffix says gets another name.
        self.paths: dict[str, str] = {}

    def add(self, path: str) -> str:
        """The path of an image in the benchmark. Raises UserError if it cannot be read."""
        refuse_outside(path)
        path = str(PurePosixPath(path))
        if path not in self.paths:
            try:
                data = (self.gta / path).read_bytes()
            except OSError as error:
                raise UserError(f"{path}: cannot be read: {error.strerror}") from error
            new, content = images.stored(data, path, path)
            longer = path
            while new != path and (new in self.files or (self.gta / new).exists()):
                new = longer = longer + PurePosixPath(new).suffix
            if (new, content) != (path, data):
                how = "stored" if content == data else "converted and stored"
                note(f"{printable(path)}: {how} as {printable(new)}")
            self.paths[path], self.files[new] = new, content
        return self.paths[path]

    def renamed(self, value: Argument) -> Argument:
        """A value in which the path of an image is that in the benchmark."""
        return self.paths.get(str(PurePosixPath(value)), value) if isinstance(value, str) else value


def _dialog(photos: _Photos, key: str, entry: Mapping[str, Any], table: RuleTable) -> Dialog:
    paths = tuple(photos.add(file["path"]) for file in entry["files"] if file["type"] == "image")
    queries = dict(_queries(entry["dialogs"]))
    query = queries.pop(0, None)
    if query is None:
        raise UserError("expected a text as the user's query before the first call, got None")
    steps = tuple(_steps(entry["dialogs"], table, photos))
    if not steps:
        raise UserError("it has no tool call")
    # The answer to a closed question is a dictionary of words that must or must not occur.
    is_open = not isinstance(entry.get("gt_answer"), dict)
    family = " > ".join(step.tool for step in steps)
    return Dialog(f"gta-{int(key):04d}", family, query, paths, steps, is_open, later_queries=queries)


def _queries(turns: list[Mapping[str, Any]]) -> Iterator[tuple[int, str]]:
    """The user's queries, by the index of the call that follows; queries without a call between as one."""
    calls, texts = 0, []
    for turn in turns:
        if turn["role"] == "user":
            if not isinstance(turn["content"], str):
                raise UserError(f"expected a text as the user's query, got {turn['content']!r}")
            texts.append(turn["content"])
            yield calls, "\n".join(texts)
        elif turn["role"] == "assistant" and turn.get("tool_calls"):
            calls, texts = calls + 1, []


def _steps(turns: list[Mapping[str, Any]], table: RuleTable, photos: _Photos) -> Iterator[Step]:
    """Each tool call with its result, which is in the following turn."""
    for number, turn in enumerate(turns):
        if turn["role"] == "assistant" and turn.get("tool_calls"):
            if len(turn["tool_calls"]) > 1:
                raise UserError(f"expected one tool call in a turn, got {len(turn['tool_calls'])}")
            function = turn["tool_calls"][0]["function"]
            tool = table.tool(function["name"])
            arguments = {name: photos.renamed(v) for name, v in _arguments(tool, function["arguments"])}
            reply = turns[number + 1] if number + 1 < len(turns) else {}
            result = reply.get("content", "") if reply.get("role") == "tool" else ""
            text = result.get("content", "") if isinstance(result, dict) else result
            text = text if isinstance(text, str) else json.dumps(text, ensure_ascii=False)
            yield Step(tool.name, arguments, str(photos.renamed(text)))


def _arguments(tool: Tool, arguments: Any) -> Iterator[tuple[str, Argument]]:
    """The arguments that the tool has. Others are ignored (one call of CountGivenObject has a bbox)."""
    given = msgspec.json.decode(arguments) if isinstance(arguments, str) else arguments
    for argument in tool.arguments:
        value = given.get(argument.name)
        if value is not None:
            if argument.name == "bbox":
                if parse_box(value) is None:
                    raise UserError(f"bbox: expected four numbers, got {value!r}")
                # GTA also writes "a, b, c, d".
                numbers = str(value).strip().strip("()[]").split(",")
                value = f"({', '.join(number.strip() for number in numbers)})"
            if not isinstance(value, (str, int, float, bool)):
                raise UserError(
                    f"{tool.name}: expected a text, number or truth value as {argument.name}, got {value!r}"
                )
            # A value that does not match itself in a response, such as an invalid expression, has no grade.
            parsed = parse_call(Call(tool.name, {argument.name: value}).to_json())
            if parsed is None or compare(argument, parsed.arguments[argument.name], value) < 1:
                raise UserError(f"{tool.name}: {argument.name} {value!r} has no value to compare with")
            yield argument.name, value
        elif argument.required:
            raise UserError(f"{tool.name}: the argument {argument.name} is missing")
