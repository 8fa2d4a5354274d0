"""A benchmark's folder: started under a marker, filled by a generator, then sealed by its manifest."""

import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

from harness import registry
from harness.errors import UserError
from harness.family import Family
from harness.files import store
from harness.files.manifest import (
    FORMAT,
    MANIFEST,
    POLICIES,
    BenchmarkFiles,
    Manifest,
    digests,
    instances_file,
    refuse_outside,
)
from harness.files.workdir import refuse_other
from harness.records import Grade, Instance, Json
from harness.text import printable, reason

__all__ = [
    "MANIFEST", "POLICIES", "Benchmark", "BenchmarkSpec", "Manifest", "begin", "creating", "instances_file",
    "refuse_outside", "seal", "summary",
]  # fmt: skip

# The split whose questions ask for the words of a policy.
RECALL = "recall"
# Not in a file: Family.cloze_questions.
CLOZE = "cloze"
# Hidden files of an unfinished benchmark, removed when it is sealed.
MARKER = ".begun.json"
PROGRESS = ".progress.jsonl"


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
    found, wanted = ({"family": s.family, **s.versions, **s.config} for s in (existing, requested))
    refuse_other(folder, "a benchmark", found, {**dict.fromkeys(found), **wanted})


def seal(folder: Path, spec: BenchmarkSpec, sources: Mapping[str, str] = {}) -> Manifest:
    """Writes the manifest with the hash of every file, and removes the files used for resuming.

    `sources` are the sha256 of the files that the benchmark was converted from.
    """
    paths = sorted(p.relative_to(folder).as_posix() for p in folder.rglob("[!.]*") if p.is_file())
    files = {p: store.sha256(folder / p) for p in paths if p != MANIFEST}
    manifest = Manifest(
        format=FORMAT,
        family=spec.family,
        config=spec.config,
        versions=spec.versions,
        counts={p: (folder / p).read_bytes().count(b"\n") for p in files if p.endswith(".jsonl")},
        digest="",
        images_digest="",
        files=files,
        sources=sources,
    )
    digest, images_digest = digests(manifest)
    manifest = replace(manifest, digest=digest, images_digest=images_digest)
    store.write_json(folder / MANIFEST, manifest)
    for leftover in (folder / MARKER, folder / PROGRESS, *folder.rglob(store.TEMPORARY_FILES)):
        leftover.unlink(missing_ok=True)
    return manifest


def summary(folder: Path, manifest: Manifest) -> str:
    """What a benchmark contains, for the last line of the command that generated it."""
    counts = ", ".join(f"{n} {name.removesuffix('.jsonl')}" for name, n in manifest.counts.items())
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

    def family_of(self, instance: Instance) -> Family:
        """What grades this instance: the family, or its grader for the splits recall and cloze."""
        return self._graders.get(instance.split, self.family)

    @property
    def has_cloze(self) -> bool:
        return self.family.cloze is not None and "test" in self.splits

    def instances(self, split: str) -> list[Instance]:
        if split == CLOZE and self.has_cloze:
            return list(self.family.cloze_questions())
        return super().instances(split)

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
    return replace(grade, reason=grade.reason and printable(grade.reason), parts=parts)
