"""A benchmark's folder: started under a marker, filled by a generator, then sealed by its manifest."""

import shutil
from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path, PurePosixPath

from harness import registry
from harness.dialogs.dialog import Dialogs
from harness.errors import UserError
from harness.family import DialogFamily, Family
from harness.files import store
from harness.files.manifest import (
    BLOCKS_FORMAT,
    FORMAT,
    MANIFEST,
    POLICIES,
    BenchmarkFiles,
    Manifest,
    digests,
    instances_file,
    refuse_outside,
)
from harness.files.workdir import refuse_other, require_shared
from harness.records import MULTI_TURN, Grade, Instance, Json
from harness.text import printable, reason

__all__ = [
    "MANIFEST", "POLICIES", "Benchmark", "BenchmarkSpec", "Manifest", "begin", "block_manifest", "creating",
    "instances_file", "join", "refuse_outside", "require_begun", "seal",
    "summary",
]  # fmt: skip

# The split whose questions ask for the words of a policy.
RECALL = "recall"
# Not in a file: Family.cloze_questions.
CLOZE = "cloze"
# Hidden files of an unfinished benchmark, removed when it is sealed.
MARKER = ".begun.json"
PROGRESS = ".progress.jsonl"
PLAN = ".plan.jsonl"


@dataclass(frozen=True, slots=True)
class BenchmarkSpec:
    """What a benchmark is generated from: the same spec resumes it, another one is refused."""

    family: str
    config: Json
    # Of the code, not of the machine, because the digest covers them.
    versions: Mapping[str, str]


def begin(folder: Path, spec: BenchmarkSpec) -> Manifest | None:
    """Reserves a folder for a benchmark, or resumes one; returns its manifest if it is already complete.

    A folder in which nothing was generated yet can be reserved again with another spec. Raises UserError if
    the folder contains anything else.
    """
    manifest, marker = folder / MANIFEST, folder / MARKER
    if manifest.exists():
        finished = store.read_json(manifest, Manifest)
        _refuse_other(folder, spec, BenchmarkSpec(finished.family, finished.config, spec.versions))
        return finished
    with store.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    if store.is_empty(folder, ignore=MARKER):
        store.write_json(marker, spec)
    elif marker.exists():
        _refuse_other(folder, spec, store.read_json(marker, BenchmarkSpec))
    else:
        raise UserError(f"{folder}: expected a new or empty folder, or an unfinished benchmark to resume")
    return None


def require_begun(folder: Path) -> None:
    """Raises UserError unless the folder was reserved, as seen from the machine of a worker."""
    require_shared(folder, MARKER)


@contextmanager
def creating(folder: Path, spec: BenchmarkSpec) -> Iterator[Manifest | None]:
    """`begin`; a new folder is removed if an error of the user occurs before anything was generated in it."""
    is_new = not folder.exists()
    finished = begin(folder, spec)
    try:
        yield finished
    except UserError:
        if is_new and store.is_empty(folder, ignore=MARKER):
            shutil.rmtree(folder)
        raise


def _refuse_other(folder: Path, requested: BenchmarkSpec, existing: BenchmarkSpec) -> None:
    if existing.family != requested.family:  # then hardly any setting is the same
        raise UserError(
            f"{folder}: contains a benchmark of {existing.family}, but one of {requested.family} was "
            "requested; name another folder"
        )
    found, wanted = ({**s.versions, **s.config} for s in (existing, requested))
    refuse_other(folder, "a benchmark", found, {**dict.fromkeys(found), **wanted})


def seal(
    folder: Path,
    spec: BenchmarkSpec,
    sources: Mapping[str, str] = {},
    block: str = "",
    known: Mapping[str, str] = {},
) -> Manifest:
    """Writes the manifest with the hash of every file, and removes the files used for resuming.

    `sources` are the sha256 of the files that the benchmark was converted from. `block` is the folder of the
    block to seal, or empty for a whole benchmark. `known` are the sha256 of files that need not be read.
    """
    root = folder / block
    paths = sorted(p.relative_to(folder).as_posix() for p in root.rglob("[!.]*") if p.is_file())
    files = {p: known.get(p) or store.sha256(folder / p) for p in paths if p != block + MANIFEST}
    counts = {p: (folder / p).read_bytes().count(b"\n") for p in files if p.endswith(".jsonl")}
    manifest = _write_manifest(root, FORMAT, spec, counts, files, sources)
    for leftover in (root / MARKER, root / PROGRESS, root / PLAN, *root.rglob(store.TEMPORARY_FILES)):
        leftover.unlink(missing_ok=True)
    return manifest


def block_manifest(folder: Path, spec: BenchmarkSpec, block: str) -> Manifest | None:
    """The manifest of a block; None if the block is not complete. Raises UserError if its spec is another."""
    path = folder / block / MANIFEST
    if not path.exists():
        return None
    manifest = store.read_json(path, Manifest)
    made_with = BenchmarkSpec(manifest.family, manifest.config, manifest.versions)
    _refuse_other(folder / block, spec, made_with)
    return manifest


def join(folder: Path, spec: BenchmarkSpec, blocks: Iterable[str]) -> Manifest | None:
    """Writes the manifest of a benchmark that consists of blocks; returns None if one is not complete.

    It lists the records of all blocks, and their manifests, which list the images.
    """
    files: dict[str, str] = {}
    counts: dict[str, int] = {}
    for block in blocks:
        manifest = block_manifest(folder, spec, block)
        if manifest is None:
            return None
        files |= {path: sha for path, sha in manifest.files.items() if path.endswith(".jsonl")}
        files[block + MANIFEST] = store.sha256(folder / block / MANIFEST)
        counts |= manifest.counts
    manifest = _write_manifest(folder, BLOCKS_FORMAT, spec, counts, files)
    (folder / MARKER).unlink(missing_ok=True)
    return manifest


def _write_manifest(
    folder: Path,
    format_: int,
    spec: BenchmarkSpec,
    counts: Mapping[str, int],
    files: Mapping[str, str],
    sources: Mapping[str, str] = {},
) -> Manifest:
    manifest = Manifest(
        format_, spec.family, spec.config, spec.versions, counts, "", "", files=files, sources=sources
    )
    digest, images_digest = digests(manifest)
    manifest = replace(manifest, digest=digest, images_digest=images_digest)
    store.write_json(folder / MANIFEST, manifest)
    return manifest


def summary(folder: Path, manifest: Manifest) -> str:
    """What a benchmark contains, for the last line of the command that generated it."""
    total: Counter[str] = Counter()
    for path, count in manifest.counts.items():
        total[PurePosixPath(path).stem] += count
    counts = ", ".join(f"{count} {name}" for name, count in total.items())
    # The file of policies also contains those of the variant `override`.
    if total["policies"]:
        counts = counts.replace(" policies", " policies (with replacements)", 1)
    return f"{folder}: {counts}\ndigest {manifest.digest}"


class Benchmark(BenchmarkFiles):
    """A complete benchmark with the family that grades it."""

    @cached_property
    def family(self) -> Family:
        return registry.load(registry.FAMILIES, self.manifest.family)(self)  # type: ignore[no-any-return]

    @cached_property
    def _graders(self) -> dict[str, Family]:
        """What grades the splits that are not graded by the family itself."""
        graders = {RECALL: self.family.recall, CLOZE: self.family.cloze}
        return {split: grader(self) for split, grader in graders.items() if grader is not None}

    @cached_property
    def dialogs(self) -> Dialogs:
        """What makes and grades dialogs. Raises UserError if the benchmark has none."""
        if not isinstance(self.family, DialogFamily):
            raise UserError(
                f"multi_turn: expected a benchmark of dialogs, got one of {self.manifest.family}, whose "
                "questions are independent; leave --multi-turn out"
            )
        return Dialogs(self.family)

    def grader(self, split: str) -> Family:
        """What grades a split: the family, or its grader for recall, cloze and dialogs."""
        return self.dialogs if split.endswith(MULTI_TURN) else self._graders.get(split, self.family)

    def scorer(self, split: str) -> str:
        """Name and version of what grades a split. Recall and cloze have that of the family."""
        return (self.dialogs if split.endswith(MULTI_TURN) else self.family).scorer

    def family_of(self, instance: Instance) -> Family:
        """What grades this instance."""
        return self.grader(instance.split)

    @property
    def has_cloze(self) -> bool:
        return self.family.cloze is not None and "test" in self.splits

    @property
    def askable_splits(self) -> list[str]:
        return [*self.splits, CLOZE] if self.has_cloze else self.splits

    def parts(self, split: str) -> dict[str, int]:
        if split == CLOZE and self.has_cloze:
            return {CLOZE: len(self.instances_of(CLOZE))}
        if split.endswith(MULTI_TURN):
            of_steps = split.removesuffix(MULTI_TURN)
            if self.grader(of_steps) is not self.dialogs.family:
                raise UserError(f"multi_turn: expected a split of dialogs such as test, got {of_steps}")
            parts = [part + MULTI_TURN for part in super().parts(of_steps)]
            return {part: len(self.instances_of(part)) for part in parts}
        return super().parts(split)

    def find(self, ids: Collection[str]) -> dict[str, Instance]:
        found = super().find(ids)
        if self.has_cloze and len(found) < len(set(ids)):
            found |= {i.id: i for i in self.instances_of(CLOZE) if i.id in ids}
        return found

    def _read_instances(self, part: str) -> Sequence[Instance]:
        if part.endswith(MULTI_TURN):
            return self.dialogs.instances(self.instances_of(part.removesuffix(MULTI_TURN)))
        return self.family.cloze_questions() if part == CLOZE else super()._read_instances(part)

    def grade(self, instance: Instance, target: str, text: str) -> Grade:
        """The family's grade of a response; no value, and the reason, if its grading fails.

        Every grade is computed here, so that one unusual response never ends a run, a submission or a
        training.
        """
        try:
            return checked(self.family_of(instance).grade(instance, target, text))
        # Families are third-party code, and a response is any text, so any exception may occur.
        except Exception as error:
            return Grade(None, f"grading failed: {reason(error)}")


def checked(grade: Grade) -> Grade:
    """The grade with printable names. Raises ValueError if a value is not a share."""
    for value in (grade.value, *grade.parts.values()):
        if value is not None and not 0 <= value <= 1:
            raise ValueError(f"expected values from 0 to 1, got {value!r}")
    parts = {printable(name): value for name, value in grade.parts.items()}
    return Grade(grade.value, grade.reason and printable(grade.reason), parts)
