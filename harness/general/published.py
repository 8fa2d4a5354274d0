"""General benchmarks, for measuring what a model forgets: converted to our own files, then like any other.

A published benchmark is written NAME, NAME:SOURCE or NAME:SOURCE?option=value, where NAME is registered under
the entry point group harness.benchmarks. Its conversion is kept in the user's cache folder by the sha256 of
all that it was made from, so that its digest pins the questions, of which published files differ.
"""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import parse_qsl

import msgspec

from harness import registry
from harness.errors import UserError
from harness.files import benchmark, store
from harness.files.benchmark import MANIFEST, Benchmark, BenchmarkSpec
from harness.general import sources
from harness.general.sources import Published
from harness.records import Instance, Json

Convert = Callable[[Published, Mapping[str, str], Path], tuple[list[Instance], Json]]
"""Instances, and what else the manifest should tell; writes the pictures into the folder."""


@dataclass(frozen=True, slots=True)
class General:
    """A published benchmark: where it is found and how it is converted."""

    family: str
    hub: str
    """Its dataset on the Hugging Face hub."""
    folder: str
    """Where the hub has its files."""
    splits: tuple[str, ...]
    """The first is what is scored."""
    options: Mapping[str, str]
    """What may stand behind the question mark, with the values that hold otherwise."""
    version: int
    """Of the conversion: another gives other prompts."""
    convert: Convert


def open(text: str) -> Benchmark:
    """The benchmark in a folder of ours, or a published one by NAME[:SOURCE][?option=value]."""
    head, _, query = text.partition("?")
    name, _, source = head.partition(":")
    published = registry.names(registry.GENERAL)
    if (Path(text) / MANIFEST).is_file() or (name not in published and Path(text).exists()):
        return Benchmark(Path(text))
    if name not in published:
        raise UserError(
            f"{text}: expected a benchmark's folder or one of {', '.join(published)}, got neither"
        )
    general: General = registry.load(registry.GENERAL, name)
    options = {**general.options, **dict(parse_qsl(query, keep_blank_values=True))}
    for unknown in options.keys() - general.options.keys():
        raise UserError(f"{text}: expected an option out of {', '.join(general.options)}, got {unknown!r}")
    files = sources.find(source or general.hub, general.folder, general.splits)
    config = {"benchmark": name, "files": files.hashes(), **options}
    begun = BenchmarkSpec(general.family, config, {"converter": str(general.version)})
    key = hashlib.sha256(msgspec.json.encode(begun, order="sorted")).hexdigest()[:16]
    folder = _cache() / f"{name}-{key}"
    if not folder.exists():
        _convert(general, files, begun, options, folder)
    return Benchmark(folder)


def _cache() -> Path:
    home = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(home) / "policy-internalization"


def _convert(
    general: General, published: Published, begun: BenchmarkSpec, options: Mapping[str, str], folder: Path
) -> None:
    """Makes the folder aside and renames it, so that it is whole or not there."""
    with store.writing(folder):
        folder.parent.mkdir(parents=True, exist_ok=True)
        aside = tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=folder.parent)
    with aside:
        made = Path(aside.name) / folder.name
        made.mkdir()
        instances, told = general.convert(published, options, made)
        _refuse_twins(instances)
        store.write_lines(made / benchmark.POLICIES, ())
        store.write_lines(made / benchmark.instances_file("test"), instances)
        benchmark.seal(made, BenchmarkSpec(begun.family, {**begun.config, **told}, begun.versions))
        try:
            made.rename(folder)
        except OSError:
            if not (folder / MANIFEST).is_file():  # otherwise another process was quicker
                raise


def _refuse_twins(instances: list[Instance]) -> None:
    seen: set[str] = set()
    for instance in instances:
        if instance.id in seen:
            raise UserError(f"question {instance.id!r}: expected once, got twice; is it in two files?")
        seen.add(instance.id)
    if not instances:
        raise UserError("expected at least one question, got none; is it the right file?")
