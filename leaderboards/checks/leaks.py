"""Was a model trained on what it is tested on? Told by the pictures and questions, not by names.

training.json may list its data, anywhere in it, as {"benchmark": FOLDER, "digest": ..., "split": ...}. Data
that does not lie here with this very digest is not compared, and that is said. No training.json says nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.records import Instance, Json

DEEPEST = 8
MOST_DATA = 32


@dataclass(frozen=True, slots=True)
class Leak:
    text: str
    found: bool = False


@dataclass(frozen=True, slots=True)
class Data:
    """What a model was trained on, in the words of its training.json."""

    folder: str
    digest: str
    split: str


def check(training: Json | None, benchmark: Benchmark, tested: Sequence[Instance]) -> Leak:
    """What the training data has in common with these instances."""
    if training is None:
        return Leak("")
    named = list(dict.fromkeys(_data(training)))
    contents = {content(benchmark, instance) for instance in tested}
    seen: set[str] = set()
    missing = len(named)
    for data in named[:MOST_DATA]:
        # ValueError: a path with a NUL in it; OSError: one that is too long.
        with suppress(UserError, ValueError, OSError):
            other = _open(data, benchmark)
            seen |= {content(other, instance) for instance in other.instances(data.split)}
            missing -= 1
    untold = f"; {missing} of {len(named)} benchmarks were not compared, which do not lie here as they were"
    if shared := len(contents & seen):
        text = f"{shared} of {len(contents)} scenes or questions of this test set are in its training data"
        return Leak(text + (untold if missing else ""), True)
    if missing == len(named):
        return Leak("its training data does not lie here as it was, or is not told: not compared")
    whose = "what lies here of its training data" if missing else "its training data"
    return Leak(f"{whose} shares no scene or question with this test set{untold if missing else ''}")


def content(benchmark: Benchmark, instance: Instance) -> str:
    """An instance's pictures; its texts where it has none."""
    files = benchmark.manifest.files
    pictures = [files[part.value] for part in instance.query if part.kind == "image"]
    shown = pictures or [part.value for part in instance.query]
    return hashlib.sha256(msgspec.json.encode(shown)).hexdigest()


def _data(training: Json) -> Iterator[Data]:
    for item in _mappings(training):
        folder, digest = item.get("benchmark"), item.get("digest")
        if isinstance(folder, str) or isinstance(digest, str):
            yield Data(str(folder), str(digest), str(item.get("split", "train")))


def _open(data: Data, tested: Benchmark) -> Benchmark:
    """Raises UserError where it is not here, or another lies in its place."""
    if data.digest == tested.manifest.digest:
        return tested
    other = Benchmark(Path(data.folder))
    if other.manifest.digest != data.digest:
        raise UserError(f"{data.folder}: expected digest {data.digest}, got {other.manifest.digest}")
    return other


def _mappings(value: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    if depth < DEEPEST and isinstance(value, dict | list):
        if isinstance(value, dict):
            yield value
        for item in value.values() if isinstance(value, dict) else value:
            yield from _mappings(item, depth + 1)
