"""The files of each submission, in BOARD/submissions/SHA256. They are written once and verified when read."""

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from harness.errors import UserError
from harness.files import store
from leaderboards.storage.records import StoredBundle

SUBMISSIONS = "submissions"


@dataclass(frozen=True)
class Bundle:
    """The files of a submission that are to be stored, by name: their content, or a file to copy."""

    files: Mapping[str, bytes | Path]

    @cached_property
    def hashes(self) -> dict[str, str]:
        return {name: _sha256(content) for name, content in sorted(self.files.items())}

    @property
    def sha256(self) -> str:
        """Identifies the bundle. It ignores report.html, which only displays the other files."""
        lines = (f"{sha}  {name}\n" for name, sha in self.hashes.items() if name != "report.html")
        return hashlib.sha256("".join(lines).encode()).hexdigest()


class Bundles:
    """The stored bundles of a folder of boards."""

    def __init__(self, board: Path) -> None:
        self.folder, self._lock = board / SUBMISSIONS, board / ".lock"

    @property
    def paths(self) -> tuple[Path, Path]:
        """What exists before the first submission."""
        return self.folder, self._lock

    def create(self) -> None:
        with store.writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Allows one writer at a time. The system releases the lock even if the process is killed."""
        with store.writing(self._lock.parent), self._lock.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            for leftover in self.folder.glob(".*.tmp"):  # from a writer that was killed
                shutil.rmtree(leftover)
            yield

    def write(self, bundle: Bundle) -> None:
        """Stores a bundle that is not in the database.

        The files are written to a temporary folder that is then renamed, so a bundle is never incomplete.
        """
        sha256 = bundle.sha256
        final, temporary = self.folder / sha256, self.folder / f".{sha256}.tmp"
        try:
            with store.writing(final):
                # From an attempt that was killed before it was committed. Its report.html may be another.
                if final.exists():
                    shutil.rmtree(final)
                temporary.mkdir()
                for name, content in bundle.files.items():
                    _write(temporary / name, content)
                _sync(temporary)
                temporary.rename(final)
                _sync(self.folder)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)

    def read(self, bundle: StoredBundle, name: str) -> bytes:
        """The content of a file.

        Raises KeyError if the bundle has no file of this name, UserError if the file was changed or removed.
        """
        expected = bundle.files[name]
        path = self.folder / bundle.sha256 / name
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}") from error
        if hashlib.sha256(data).hexdigest() != expected:
            raise UserError(f"{path}: changed after it was stored; restore it from a copy")
        return data


def _sha256(content: bytes | Path) -> str:
    return store.sha256(content) if isinstance(content, Path) else hashlib.sha256(content).hexdigest()


def _write(path: Path, content: bytes | Path) -> None:
    if isinstance(content, bytes):
        store.write(path, content)
        return
    with content.open("rb") as source, store.replacing(path) as file:
        shutil.copyfileobj(source, file)


def _sync(folder: Path) -> None:
    """Makes created and renamed files in the folder survive a power failure."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
