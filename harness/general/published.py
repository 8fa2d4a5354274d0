"""Converts a published benchmark into a benchmark of the harness, which is then used like any other.

Commands accept it as NAME, NAME:SOURCE or NAME:SOURCE?option=value, with a NAME registered under
harness.benchmarks.
Published files exist in several versions, so the user's cache folder has one conversion per hash of source
files and options, and the digest of the benchmark identifies the questions.
"""

import hashlib
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qsl

import msgspec

from harness import registry
from harness.errors import UserError
from harness.files import benchmark, store
from harness.files.benchmark import MANIFEST, Benchmark, BenchmarkSpec
from harness.files.manifest import FORMAT
from harness.general import sources
from harness.general.sources import SourceFiles
from harness.records import Instance, Json

# (source files, options, output folder for images) -> (instances, additions to the manifest's config)
Convert = Callable[[SourceFiles, Mapping[str, str], Path], tuple[list[Instance], Json]]


@dataclass(frozen=True, slots=True)
class PublishedBenchmark:
    """Where to find a published benchmark and how to convert it."""

    family: str
    # Its dataset on the Hugging Face hub, and the folder of its files there.
    hub_id: str
    hub_folder: str
    # The first split is scored and must exist.
    splits: tuple[str, ...]
    # The options after the question mark, with their defaults.
    options: Mapping[str, str]
    # Version of the conversion. Raise it when a prompt changes.
    version: int
    convert: Convert


def open(text: str) -> Benchmark:
    """The benchmark in a folder, or a published one written NAME[:SOURCE][?option=value]."""
    head, _, query = text.partition("?")
    name, _, source = head.partition(":")
    names = registry.names(registry.GENERAL)
    if (Path(text) / MANIFEST).is_file() or (name not in names and Path(text).exists()):
        return Benchmark(Path(text))
    if name not in names:
        raise UserError(f"{text}: no such folder; expected a benchmark's folder or one of {', '.join(names)}")
    published: PublishedBenchmark = registry.load(registry.GENERAL, name)
    options = {**published.options, **dict(parse_qsl(query, keep_blank_values=True))}
    for unknown in options.keys() - published.options.keys():
        raise UserError(f"{text}: expected the option {' or '.join(published.options)}, got {unknown!r}")
    try:
        files = sources.find(source or published.hub_id, published.hub_folder, published.splits)
        return Benchmark(_convert(published, name, files, options))
    except ImportError as error:
        raise UserError(f"{text}: {error}; {registry.to_install('benchmarks')}") from error


def _convert(
    published: PublishedBenchmark, name: str, files: SourceFiles, options: Mapping[str, str]
) -> Path:
    """The folder of the converted benchmark. Converts it if it is not in the cache yet."""
    spec = BenchmarkSpec(
        published.family, {"benchmark": name, **options}, {"converter": str(published.version)}
    )
    hashes = files.hashes()
    key = hashlib.sha256(msgspec.json.encode([FORMAT, spec, hashes], order="sorted")).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "policy-internalization"
    folder = cache / f"{name}-{key}"
    if folder.exists():
        return folder
    with store.writing(cache):
        cache.mkdir(parents=True, exist_ok=True)
    with store.locked(cache / ".lock", wait=True):
        if folder.exists():  # converted by another process in the meantime
            return folder
        with store.writing(cache):
            for leftover in cache.glob(f".{name}-*"):  # of a conversion that was killed
                shutil.rmtree(leftover)
            temporary = tempfile.TemporaryDirectory(prefix=f".{folder.name}-", dir=cache)
        # Converted in a temporary folder and then renamed, so that the folder is complete or does not exist.
        with temporary:
            out = Path(temporary.name) / folder.name
            out.mkdir()
            instances, additions = published.convert(files, options, out)
            _check(instances)
            store.write_lines(out / benchmark.POLICIES, ())
            store.write_lines(out / benchmark.instances_file("test"), instances)
            benchmark.seal(out, replace(spec, config={**spec.config, **additions}), hashes)
            out.rename(folder)
    return folder


def _check(instances: Sequence[Instance]) -> None:
    for question, count in Counter(instance.id for instance in instances).most_common(1):
        if count > 1:
            raise UserError(f"question {question!r}: expected once, got {count} times in these files")
    if not instances:
        raise UserError("expected at least one question, got none; is this the right file?")
