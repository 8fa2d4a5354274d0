"""Checks whether a model was trained on the test set. Compares pictures and questions, not names.

A training.json names training data as {"benchmark": FOLDER, "digest": ..., "split": ...}, at any depth. Data
is compared only if its folder is on this machine with this digest. The result says how much was not compared.
"""

import hashlib
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.records import Instance, Json

# The levels of training.json that are searched, and the number of benchmarks that are compared.
MAX_NESTING = 8
MAX_BENCHMARKS = 32


@dataclass(frozen=True, slots=True)
class LeakCheck:
    """The result of comparing the training data with the test set."""

    # Empty if nothing is known about the training.
    text: str
    leaks: bool = False


@dataclass(frozen=True, slots=True)
class TrainingData:
    """A split of a benchmark, as named in training.json."""

    folder: str
    digest: str
    split: str


def check_leaks(training: Json | None, benchmark: Benchmark, tested: Iterable[Instance]) -> LeakCheck:
    """Compares the training data with the instances of a test set."""
    if training is None:
        return LeakCheck("")
    named = list(dict.fromkeys(_training_data(training)))
    test_contents = {content(benchmark, instance) for instance in tested}
    training_contents: set[bytes] = set()
    missing = len(named)
    for data in named[:MAX_BENCHMARKS]:
        # ValueError: the path contains a NUL character. OSError: the path is too long.
        with suppress(UserError, ValueError, OSError):
            other = _open(data, benchmark)
            training_contents |= {content(other, instance) for instance in other.instances(data.split)}
            missing -= 1
    here = "on this machine with the recorded digest"
    limits = (
        f"; {missing} of {len(named)} benchmarks were not compared: they are not {here}" if missing else ""
    )
    if shared := len(test_contents & training_contents):
        total = len(test_contents)
        text = f"{shared} of {total} scenes or questions of this test set are in its training data"
        return LeakCheck(text + limits, leaks=True)
    if missing == len(named):
        return LeakCheck(f"not compared: no training data is named and {here}")
    compared = "the training data found on this machine" if missing else "its training data"
    return LeakCheck(f"{compared} shares no scene or question with this test set{limits}")


def content(benchmark: Benchmark, instance: Instance) -> bytes:
    """A hash of an instance's pictures, or of its texts if it has none."""
    pictures = [benchmark.sha256(part.value) for part in instance.query if part.kind == "image"]
    parts = pictures or [part.value for part in instance.query]
    return hashlib.sha256(msgspec.json.encode(parts)).digest()


def _training_data(training: Json) -> Iterator[TrainingData]:
    for item in _objects(training):
        folder, digest = item.get("benchmark"), item.get("digest")
        if isinstance(folder, str) or isinstance(digest, str):
            yield TrainingData(str(folder), str(digest), str(item.get("split", "train")))


def _open(data: TrainingData, tested: Benchmark) -> Benchmark:
    """The benchmark of training data. Raises UserError if its folder has none, or one with another digest."""
    if data.digest == tested.manifest.digest:
        return tested
    other = Benchmark(Path(data.folder))
    if other.manifest.digest != data.digest:
        raise UserError(f"{data.folder}: expected digest {data.digest}, got {other.manifest.digest}")
    return other


def _objects(value: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    """All JSON objects in a value, down to MAX_NESTING levels."""
    if depth < MAX_NESTING and isinstance(value, dict | list):
        if isinstance(value, dict):
            yield value
        for item in value.values() if isinstance(value, dict) else value:
            yield from _objects(item, depth + 1)
