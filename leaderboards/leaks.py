"""Was a model trained on what it is tested on? Told by the pictures and questions, not by names.

training.json may list its data as [{"benchmark": FOLDER, "digest": ..., "split": ...}, ...]; other mentions
of a digest or of a benchmark's folder are found too. Data that does not lie here cannot be compared, and that
is said. No training.json says nothing.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from harness.benchmark import MANIFEST, Benchmark
from harness.errors import UserError
from harness.records import Instance, Json

DEEPEST = 8
MOST_DATA = 32


@dataclass(frozen=True, slots=True)
class Leak:
    text: str
    found: bool = False


def check(training: Json | None, benchmark: Benchmark, tested: Sequence[Instance]) -> Leak:
    """What the training data has in common with these instances."""
    if training is None:
        return Leak("")
    if benchmark.manifest.digest in set(_texts(training)):
        trained = [(benchmark, split) for split in _splits(training, benchmark)]
    else:
        trained = []
    unread = 0
    folders = [t for t in dict.fromkeys(_texts(training)) if _is_benchmark(t)][:MOST_DATA]
    for folder in folders:
        try:
            other = Benchmark(Path(folder))
            trained += [(other, split) for split in _splits(training, other)]
        except UserError:
            unread += 1
    if not trained:
        return Leak("its training data does not lie here: not compared")
    contents = {content(benchmark, instance) for instance in tested}
    try:
        seen = {content(b, i) for b, split in trained for i in b.instances(split)}
    except UserError as error:
        return Leak(f"its training data cannot be read: {error}")
    if shared := len(contents & seen):
        return Leak(
            f"{shared} of {len(contents)} scenes or questions of this test set are in its training data", True
        )
    return Leak("its training data shares no scene or question with this test set")


def content(benchmark: Benchmark, instance: Instance) -> str:
    """An instance's pictures; its texts where it has none."""
    files = benchmark.manifest.files
    pictures = [files[part.value] for part in instance.query if part.kind == "image"]
    shown = pictures or [part.value for part in instance.query]
    return hashlib.sha256(msgspec.json.encode(shown)).hexdigest()


def _splits(training: Json, benchmark: Benchmark) -> list[str]:
    """The splits that training.json names for this data; train where it names none."""
    named = [
        str(item["split"])
        for item in _mappings(training)
        if "split" in item
        and (
            item.get("digest") == benchmark.manifest.digest or item.get("benchmark") == str(benchmark.folder)
        )
    ]
    return [s for s in dict.fromkeys(named or ["train"]) if s in benchmark.splits]


def _is_benchmark(text: str) -> bool:
    try:
        return len(text) < 4096 and "\0" not in text and (Path(text) / MANIFEST).is_file()
    except OSError:
        return False


def _texts(value: Any, depth: int = 0) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif depth < DEEPEST and isinstance(value, dict | list):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _texts(item, depth + 1)


def _mappings(value: Any, depth: int = 0) -> Iterator[dict[str, Any]]:
    if depth < DEEPEST and isinstance(value, dict | list):
        if isinstance(value, dict):
            yield value
        for item in value.values() if isinstance(value, dict) else value:
            yield from _mappings(item, depth + 1)
