"""The files of a complete benchmark, checked against its manifest as they are read."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path, PurePosixPath
from typing import TypeVar

import msgspec
from PIL import Image
from tqdm import tqdm

from harness import images
from harness.errors import UserError
from harness.files import kinds, store
from harness.records import Instance, Json, Part, Policy, Prompt

T = TypeVar("T")
# The digest of a benchmark in format 1 covers its files, but not its family, config and versions.
FORMAT = 2
READABLE_FORMATS = (1, FORMAT)
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
        """The records of a .jsonl file, after its sha256 was checked."""
        self.check(path)
        return store.read_lines(self.folder / path, type_)

    def image(self, path: str) -> Image.Image:
        """An image as RGB, by its path relative to the folder."""
        return images.pixels(self.check(path), path)

    def broken_images(self, paths: Iterable[str]) -> dict[str, str]:
        """The images that are as the manifest lists them, but cannot be read, with the reasons.

        Raises UserError if a file is missing or was changed.
        """
        paths = dict.fromkeys(paths)
        new = [path for path in paths if path not in self._read_errors]
        for path in tqdm(new, desc="checking images", unit="", delay=1):
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
        if path not in self.manifest.files:
            raise UserError(f"{self.folder / path}: not listed in {MANIFEST}")
        try:
            data = (self.folder / path).read_bytes()
        except OSError as error:
            raise UserError(f"{self.folder / path}: cannot be read: {error.strerror}") from error
        expected, got = self.manifest.files[path], hashlib.sha256(data).hexdigest()
        if got != expected:
            raise UserError(
                f"{self.folder / path}: expected sha256 {expected[:12]}…, got {got[:12]}… "
                f"({len(data)} bytes): the file was changed later; restore it or generate the benchmark again"
            )
        return data

    def prompt_sha256(self, prompt: Prompt) -> str:
        """Identifies the content of a prompt: its texts, and the bytes of its images."""
        files = self.manifest.files
        parts = [(p.kind, files[p.value] if p.kind == "image" else p.value) for p in prompt.parts]
        return hashlib.sha256(msgspec.json.encode(parts)).hexdigest()

    def _check_images(self, owner: str, parts: Iterable[Part]) -> None:
        for part in parts:
            if part.kind == "image":
                refuse_outside(part.value)
                if part.value not in self.manifest.files:
                    raise UserError(f"{owner}: its image {part.value!r} is not listed in {MANIFEST}")


def refuse_outside(path: str) -> None:
    """Raises UserError unless the path stays inside the folder that it is relative to."""
    pure = PurePosixPath(path)
    if pure.is_absolute() or ".." in pure.parts or {"\\", "\0"} & set(path) or not pure.parts:
        raise UserError(f"path: expected a path inside the benchmark's folder, got {path!r}")
