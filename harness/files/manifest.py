"""The files of a complete benchmark, checked against its manifest as they are read."""

import hashlib
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import TypeVar

import msgspec
from PIL import Image

from harness import images
from harness.errors import UserError
from harness.files import kinds, store
from harness.progress import Bar
from harness.records import Instance, Json, Part, Policy, Prompt

T = TypeVar("T")
# The digest of a benchmark in format 1 covers its files, but not its family, config and versions.
FORMAT = 2
# The manifest of a benchmark that consists of blocks lists the manifests of the blocks instead of images.
BLOCKS_FORMAT = 3
READABLE_FORMATS = (1, FORMAT, BLOCKS_FORMAT)
MANIFEST = "manifest.json"
POLICIES = "policies.jsonl"


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a benchmark contains. It is written last, so its presence means that the benchmark is complete."""

    format: int
    family: str
    config: Json
    # Of the code that generated the benchmark, so they are the same on every machine.
    versions: Mapping[str, str]
    # Lines of each .jsonl file.
    counts: Mapping[str, int]
    # Of the fields above except for the counts, and of policies, scenes and instances: the same on every
    # machine.
    digest: str
    # Of pixels, which another graphics driver may draw differently.
    images_digest: str
    # The sha256 of every file, by its path relative to the folder.
    files: Mapping[str, str]
    # The sha256 of the files that were converted. The same questions can be in different files, so the
    # digest does not cover them.
    sources: Mapping[str, str] = field(default_factory=dict)

    def instances(self, split: str) -> int:
        """The number of instances of a split, in all blocks."""
        name = instances_file(split)
        return sum(count for path, count in self.counts.items() if PurePosixPath(path).name == name)


def instances_file(split: str) -> str:
    return f"instances.{split}.jsonl"


def digests(manifest: Manifest) -> tuple[str, str]:
    """Two digests of sorted paths with their sha256: of all records (.jsonl), and of all other files.

    The first one also covers everything else that a leaderboard groups by or shows of a benchmark.
    """
    fields = manifest.family, manifest.config, manifest.versions
    head = msgspec.json.encode(fields, order="sorted") + b"\n" if manifest.format > 1 else b""

    def digest(records: bool, head: bytes = b"") -> str:
        lines = (
            f"{sha}  {path}\n"
            for path, sha in sorted(manifest.files.items())
            if path.endswith(".jsonl") is records
        )
        return hashlib.sha256(head + "".join(lines).encode()).hexdigest()

    return digest(True, head), digest(False)


class BenchmarkFiles:
    """Reads a benchmark's folder. A file that differs from the manifest is an error."""

    def __init__(self, folder: Path) -> None:
        """Raises UserError if the manifest is missing, or if the policies differ from it."""
        self.folder = folder
        kinds.require(folder, kinds.BENCHMARK)
        # By path, for the images that were checked: why it cannot be read, or None if it can.
        self._read_errors: dict[str, str | None] = {}
        self.manifest = store.read_json(folder / MANIFEST, Manifest)
        if self.manifest.format not in READABLE_FORMATS:
            raise UserError(
                f"{folder / MANIFEST}: expected format {FORMAT}, got {self.manifest.format}: "
                "generate the benchmark again with this version"
            )
        expected = digests(self.manifest)
        if (self.manifest.digest, self.manifest.images_digest) != expected:
            raise UserError(
                f"{folder / MANIFEST}: expected digest {expected[0][:12]}… for its content, got "
                f"{self.manifest.digest[:12]}…: the manifest was changed later; generate the benchmark again"
            )
        # A benchmark of ten million instances has hundreds of blocks, which are rarely all needed. Four files
        # of instances are all splits of a benchmark without blocks.
        self._images_of = lru_cache(maxsize=4)(self._block_files)
        self.instances_of = lru_cache(maxsize=4)(self._read_instances)
        # The files that were read, the latest one last.
        self._parts_read: dict[str, None] = {}
        self.policies = {p.id: p for p in self.records(POLICIES, Policy)}
        for policy in self.policies.values():
            self._check_images(policy.id, policy.content)

    def __repr__(self) -> str:
        return f"Benchmark({str(self.folder)!r})"

    @property
    def splits(self) -> list[str]:
        names = (PurePosixPath(path).name for path in self.manifest.files)
        return list(dict.fromkeys(name.split(".")[1] for name in names if name.startswith("instances.")))

    @property
    def askable_splits(self) -> list[str]:
        """The splits that can be asked for, also those that are in no file."""
        return self.splits

    def instances(self, split: str) -> list[Instance]:
        """All instances of a split. For one block at a time: `instances_of` for each of `parts`."""
        return [instance for part in self.parts(split) for instance in self.instances_of(part)]

    def parts(self, split: str) -> dict[str, int]:
        """The files that contain the instances of a split, with their numbers of instances.

        There is one per block, and one for a benchmark without blocks.
        """
        if split not in self.splits:
            raise UserError(f"split: expected one of {', '.join(self.askable_splits)}, got {split!r}")
        return {path: self.manifest.counts.get(path, 0) for path in self._files_named(instances_file(split))}

    def find(self, ids: Collection[str]) -> dict[str, Instance]:
        """The instances with these ids; those that do not exist are missing."""
        missing, found = set(ids), dict[str, Instance]()
        # In the files that were read last, which are most likely still in memory, then in all others.
        parts = [part for split in self.splits for part in self.parts(split)]
        for part in dict.fromkeys([*reversed(self._parts_read), *parts]):
            if not missing:
                break
            found |= {i.id: i for i in self.instances_of(part) if i.id in missing}
            missing -= found.keys()
        return found

    def _read_instances(self, part: str) -> Sequence[Instance]:
        """The instances in one file. Raises UserError if it repeats an id, or lacks a policy or an image."""
        self._parts_read = {read: None for read in self._parts_read if read != part} | {part: None}
        instances = list(self.records_of(part, Instance))
        refuse_repeated(self.folder / part, (instance.id for instance in instances), set())
        for instance in instances:
            self._check_images(instance.id, instance.query)
            for policy in (instance.policy_id, instance.override and instance.override.policy_id):
                if policy is not None and policy not in self.policies:
                    raise UserError(f"{instance.id}: policy {policy!r} is not in {POLICIES}")
        return instances

    def records(self, name: str, type_: type[T]) -> Iterator[T]:
        """The records of all .jsonl files with this name: one in each block, in order."""
        for path in self._files_named(name):
            yield from self.records_of(path, type_)

    def records_of(self, path: str, type_: type[T]) -> Iterator[T]:
        """The records of one .jsonl file, after its sha256 was checked."""
        self.check(path)
        return store.read_lines(self.folder / path, type_)

    def files(self) -> Iterator[str]:
        """The path of every file."""
        yield from self.manifest.files
        for path in self._files_named(MANIFEST) if self.manifest.format == BLOCKS_FORMAT else ():
            images = self._images_of(path.removesuffix(MANIFEST))
            yield from (image for image in images if image not in self.manifest.files)

    def sha256(self, path: str) -> str | None:
        """The sha256 of a file in the manifest, or in that of its block; None if neither lists it."""
        if path in self.manifest.files:
            return self.manifest.files[path]
        block = "/".join([*path.split("/")[:2], ""])
        return self._images_of(block).get(path) if block + MANIFEST in self.manifest.files else None

    def _files_named(self, name: str) -> list[str]:
        found = [path for path in self.manifest.files if PurePosixPath(path).name == name]
        if not found:
            raise UserError(f"{self.folder / name}: not listed in {MANIFEST}")
        return found

    def _block_files(self, block: str) -> Mapping[str, str]:
        """The sha256 of every file of a block, whose folder is given with "/" at its end."""
        return store.decoded(self.folder / block / MANIFEST, self.check(block + MANIFEST), Manifest).files

    def image(self, path: str) -> Image.Image:
        """An image as RGB, by its path relative to the folder."""
        return images.pixels(self.check(path), path)

    def broken_images(self, paths: Iterable[str]) -> dict[str, str]:
        """The images that are as the manifest lists them, but cannot be read, with the reasons.

        Raises UserError if a file is missing or was changed.
        """
        paths = dict.fromkeys(paths)
        new = [path for path in paths if path not in self._read_errors]
        for path in Bar(new, desc="checking images", unit="", delay=1):
            data = self.check(path)
            try:
                images.pixels(data, path)
                self._read_errors[path] = None
            except UserError as error:
                self._read_errors[path] = str(error)
        return {path: reason for path in paths if (reason := self._read_errors[path]) is not None}

    def check(self, path: str) -> bytes:
        """The bytes of a file. Raises UserError if their sha256 is not the one in the manifest."""
        refuse_outside(path)
        expected = self.sha256(path)
        if expected is None:
            raise UserError(f"{self.folder / path}: not listed in {MANIFEST}")
        try:
            data = (self.folder / path).read_bytes()
        except OSError as error:
            problem = f"{self.folder / path}: cannot be read: {error.strerror}"
            raise UserError(f"{problem}; restore it or generate the benchmark again") from error
        got = hashlib.sha256(data).hexdigest()
        if got != expected:
            raise UserError(
                f"{self.folder / path}: expected sha256 {expected[:12]}…, got {got[:12]}… "
                f"({len(data)} bytes): the file was changed later; restore it or generate the benchmark again"
            )
        if path.endswith(".jsonl") and self.manifest.counts.get(path) != (lines := data.count(b"\n")):
            raise UserError(
                f"{self.folder / MANIFEST}: counts: expected {lines} for the lines of {path}, got "
                f"{self.manifest.counts.get(path, 'none')}: the manifest was changed later; restore it or "
                "generate the benchmark again"
            )
        return data

    def prompt_sha256(self, prompt: Prompt) -> str:
        """Identifies the content of a prompt: its texts, and the bytes of its images."""
        return hashlib.sha256(msgspec.json.encode(self.content(prompt.parts))).hexdigest()

    def content(self, parts: Iterable[Part]) -> list[tuple[str, str | None]]:
        """The kind of each part, and its text or the sha256 of its image."""
        return [(p.kind, self.sha256(p.value) if p.kind == "image" else p.value) for p in parts]

    def _check_images(self, owner: str, parts: Iterable[Part]) -> None:
        for part in parts:
            if part.kind == "image":
                refuse_outside(part.value)
                if self.sha256(part.value) is None:
                    raise UserError(f"{owner}: its image {part.value!r} is not listed in {MANIFEST}")


def refuse_repeated(file: Path, ids: Iterable[str], seen: set[str]) -> None:
    """Adds the ids of instances to those seen. Raises UserError if one is there already."""
    for id_ in ids:
        if id_ in seen:
            raise UserError(
                f"{file}: expected a different id for each instance, got {id_!r} again; a response could not "
                "be matched to its instance; generate the benchmark again"
            )
        seen.add(id_)


def refuse_outside(path: str) -> None:
    """Raises UserError unless the path stays inside the folder that it is relative to."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or {"\\", "\0"} & set(path) or not pure.parts:
        raise UserError(f"path: expected a path inside the benchmark's folder, got {path!r}")
