"""What was submitted, file by file: BOARD/submissions/<sha256>, written once and read back as it was."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from harness.errors import UserError
from harness.files import store
from leaderboards.checks.submission import Bundle
from leaderboards.storage.records import Kept

SUBMISSIONS = "submissions"


class Bundles:
    """Those of a folder of boards."""

    def __init__(self, board: Path) -> None:
        self.folder, self._lock = board / SUBMISSIONS, board / ".lock"

    def create(self) -> None:
        with store.writing(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)

    @contextmanager
    def alone(self) -> Iterator[None]:
        """One writer at a time; the system lets go of it however the process ends."""
        with store.writing(self._lock.parent), self._lock.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            for left in self.folder.glob(".*.tmp"):  # a killed writer's
                shutil.rmtree(left)
            yield

    def write(self, bundle: Bundle) -> str:
        """Aside first, then renamed; one that is there already is left as it is. Returns its sha256."""
        sha256 = bundle.sha256
        final, aside = self.folder / sha256, self.folder / f".{sha256}.tmp"
        if final.exists():  # of an attempt that was killed before its rows were committed
            return sha256
        try:
            with store.writing(final):
                aside.mkdir()
                for name, data in bundle.files.items():
                    store.write(aside / name, data)
                _sync(aside)
                aside.rename(final)
                _sync(self.folder)
        finally:
            shutil.rmtree(aside, ignore_errors=True)
        return sha256

    def read(self, kept: Kept, name: str) -> bytes:
        """A file of a bundle, as it was stored; KeyError where it has none of that name.

        Raises UserError where it is not what was stored.
        """
        expected = kept.files[name]
        path = self.folder / kept.sha256 / name
        try:
            data = path.read_bytes()
        except OSError as error:
            raise UserError(f"{path}: cannot be read: {error.strerror}") from error
        if hashlib.sha256(data).hexdigest() != expected:
            raise UserError(f"{path}: changed after it was stored; restore it from a copy")
        return data


def _sync(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
