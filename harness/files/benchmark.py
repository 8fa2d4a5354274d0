"""A benchmark's folder: sealed by a manifest that names the sha256 of every file and is written last."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath
from typing import TypeVar

from PIL import Image

from harness import registry
from harness.errors import UserError
from harness.files import store
from harness.records import Instance, Json, Part, Policy

T = TypeVar("T")
FORMAT = 1
MANIFEST = "manifest.json"
POLICIES = "policies.jsonl"
BEGUN = ".begun.json"
PROGRESS = ".progress.jsonl"
"""Hidden files, of a benchmark that is not finished; never part of it."""


@dataclass(frozen=True, slots=True)
class Manifest:
    """Its presence means that the benchmark is complete."""

    format: int
    family: str
    config: Json
    versions: Mapping[str, str]
    counts: Mapping[str, int]
    digest: str
    """Of policies, scenes and instances: the same on every machine."""
    images_digest: str
    """Of pixels: another graphics driver may draw them otherwise."""
    files: Mapping[str, str]


def instances_file(split: str) -> str:
    return f"instances.{split}.jsonl"


@dataclass(frozen=True, slots=True)
class BenchmarkSpec:
    """What an unfinished benchmark is going to be."""

    family: str
    config: Json
    versions: Mapping[str, str]


def begin(folder: Path, begun: BenchmarkSpec) -> Manifest | None:
    """Claims a folder for a benchmark to make, or to go on with; its manifest when it is finished already.

    A folder for which nothing was made yet is claimed again: what was asked for may have been a mistake.
    Raises UserError where the folder holds something else.
    """
    manifest, marker = folder / MANIFEST, folder / BEGUN
    if manifest.exists():
        finished = store.read_json(manifest, Manifest)
        _refuse_other(folder, begun, BenchmarkSpec(finished.family, finished.config, begun.versions))
        return finished
    with store.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if store.is_empty(folder, ignore=BEGUN):
        store.write_json(marker, begun)
    elif marker.exists():
        _refuse_other(folder, begun, store.read_json(marker, BenchmarkSpec))
    else:
        raise UserError(f"{folder}: expected a new or empty folder, or a benchmark to go on with")
    return None


def _refuse_other(folder: Path, asked: BenchmarkSpec, found: BenchmarkSpec) -> None:
    asked_facts, facts = ({"family": b.family, **b.versions, **b.config} for b in (asked, found))
    for name in asked_facts.keys() | facts.keys():
        if asked_facts.get(name) != facts.get(name):
            raise UserError(
                f"{folder}: holds a benchmark with {name} {facts.get(name)!r}, asked was "
                f"{asked_facts.get(name)!r}; name another folder, or delete this one first"
            )


def seal(folder: Path, begun: BenchmarkSpec) -> Manifest:
    """Hashes every file of a finished benchmark and writes its manifest; drops what was for going on."""
    paths = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("[!.]*") if p.is_file())
    files = {p: store.sha256(folder / p) for p in paths if p != MANIFEST}
    lines = {p: (folder / p).read_bytes().count(b"\n") for p in files if p.endswith(".jsonl")}
    digest, images_digest = _digests(files)
    manifest = Manifest(
        format=FORMAT,
        family=begun.family,
        config=begun.config,
        versions=begun.versions,
        counts=lines,
        digest=digest,
        images_digest=images_digest,
        files=files,
    )
    store.write_json(folder / MANIFEST, manifest)
    for left in (folder / BEGUN, folder / PROGRESS, *folder.rglob(store.TEMPORARY_FILES)):
        left.unlink(missing_ok=True)
    return manifest


def summary(folder: Path, manifest: Manifest) -> str:
    """What a benchmark holds, for the end of the command that made it."""
    counts = ", ".join(f"{n} {name.removesuffix('.jsonl')}" for name, n in manifest.counts.items())
    return f"{folder}: {counts}\ndigest {manifest.digest}"


def _digests(files: Mapping[str, str]) -> tuple[str, str]:
    """Of the records and of everything else, over paths in order and what they hold."""

    def digest(records: bool) -> str:
        lines = (
            f"{sha}  {path}\n" for path, sha in sorted(files.items()) if path.endswith(".jsonl") is records
        )
        return hashlib.sha256("".join(lines).encode()).hexdigest()

    return digest(True), digest(False)


class Benchmark:
    """A complete benchmark, checked against its manifest as it is read."""

    def __init__(self, folder: Path) -> None:
        """Raises UserError where the manifest is missing or a file is not the one that it names."""
        self.folder = folder
        if not (folder / MANIFEST).is_file():
            raise UserError(
                f"{folder}: no {MANIFEST}: expected a complete benchmark; "
                "if its making was interrupted, run the same generate or import command again"
            )
        self.manifest = store.read_json(folder / MANIFEST, Manifest)
        if self.manifest.format != FORMAT:
            raise UserError(
                f"{folder / MANIFEST}: expected format {FORMAT}, got {self.manifest.format}: "
                "generate the benchmark again with this version"
            )
        expected = _digests(self.manifest.files)
        if (self.manifest.digest, self.manifest.images_digest) != expected:
            raise UserError(
                f"{folder / MANIFEST}: expected digest {expected[0][:12]}… for the files that it names, got "
                f"{self.manifest.digest[:12]}…: it was changed after the benchmark was made; make it again"
            )
        self.policies = {p.id: p for p in self.records(POLICIES, Policy)}
        for policy in self.policies.values():
            self._check_images(policy.id, policy.content)

    def __repr__(self) -> str:
        return f"Benchmark({str(self.folder)!r})"

    @property
    def splits(self) -> list[str]:
        return [f.split(".")[1] for f in self.manifest.files if f.startswith("instances.")]

    def instances(self, split: str) -> list[Instance]:
        if split not in self.splits:
            raise UserError(f"split: expected one of {', '.join(self.splits)}, got {split!r}")
        instances = list(self.records(instances_file(split), Instance))
        for instance in instances:
            self._check_images(instance.id, instance.query)
            for policy in (instance.policy_id, instance.override and instance.override.policy_id):
                if policy is not None and policy not in self.policies:
                    raise UserError(f"{instance.id}: policy {policy!r} is not in {POLICIES}")
        return instances

    def records(self, path: str, type_: type[T]) -> Iterator[T]:
        """The records of one of the benchmark's files, its sha256 checked first."""
        self.check(path)
        return store.read_lines(self.folder / path, type_)

    def image(self, path: str) -> Image.Image:
        """An RGB picture named by its path relative to the folder."""
        data = self.check(path)
        try:
            return Image.open(io.BytesIO(data)).convert("RGB")
        except (OSError, SyntaxError) as error:
            raise UserError(f"{self.folder / path}: not a readable image: {error}") from error

    @cached_property
    def family(self) -> registry.Family:
        return registry.load(registry.FAMILIES, self.manifest.family)(self)  # type: ignore[no-any-return]

    def check(self, path: str) -> bytes:
        """A file's bytes, when they are those that the manifest names."""
        refuse_outside(path)
        if path not in self.manifest.files:
            raise UserError(f"{self.folder / path}: not named in {MANIFEST}")
        try:
            data = (self.folder / path).read_bytes()
        except OSError as error:
            raise UserError(f"{self.folder / path}: cannot be read: {error.strerror}") from error
        expected, got = self.manifest.files[path], hashlib.sha256(data).hexdigest()
        if got != expected:
            raise UserError(
                f"{self.folder / path}: expected sha256 {expected[:12]}…, got {got[:12]}… "
                f"({len(data)} bytes): changed after the benchmark was made; restore it or make it again"
            )
        return data

    def _check_images(self, owner: str, parts: Iterable[Part]) -> None:
        for part in parts:
            if part.kind == "image":
                refuse_outside(part.value)
                if part.value not in self.manifest.files:
                    raise UserError(f"{owner}: its image {part.value!r} is not named in {MANIFEST}")


def refuse_outside(path: str) -> None:
    """Raises UserError unless the path stays inside the folder that it is relative to."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or "\\" in path or not pure.parts:
        raise UserError(f"path: expected one inside the benchmark's folder, got {path!r}")
