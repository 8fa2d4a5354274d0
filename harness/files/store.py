"""Files that survive kill -9: JSON lines appended whole, everything else written aside and renamed."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import jsonlines
import msgspec

from harness.errors import UserError

T = TypeVar("T")
UNREADABLE = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
"""What a text that is not the JSON of its record raises."""
REFUSED = (errno.EACCES, errno.EPERM, errno.EROFS, errno.ENOTDIR, errno.EISDIR, errno.EEXIST)
ASIDE = ".*.tmp"
"""Files that are being written, or were when a process was killed."""


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Turns the operating system's refusal to write into a sentence."""
    try:
        yield
    except OSError as error:
        if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
            raise UserError(
                f"{path}: no space left on the device; free some and run the same command again, "
                "what is written so far is kept"
            ) from error
        if error.errno in REFUSED:
            raise UserError(f"{path}: cannot be written: {error.strerror}") from error
        raise


def is_empty(folder: Path, but: str = "") -> bool:
    """Whether nothing is in a folder besides one file, empty files, and what a kill left half written."""
    left = {but} | {path.name for path in folder.glob(ASIDE)}
    return all(path.name in left or (path.is_file() and not path.stat().st_size) for path in folder.iterdir())


@contextmanager
def locked(lock: Path, wait: bool = False) -> Iterator[None]:
    """One process at a time: the others wait, or get a UserError. A killed process holds nothing.

    The lock is on a file, which is made if need be and never removed.
    """
    with writing(lock):
        file = lock.open("ab")
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            raise UserError(
                f"{lock.parent}: another process is at work in this folder; wait until it ends, or name "
                "another folder"
            ) from None
        yield


def write(path: Path, data: bytes) -> None:
    """Writes a file whole or not at all."""
    aside = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with writing(path):
        try:
            with aside.open("wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            aside.replace(path)
        finally:
            aside.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    write(path, msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n")


def read_json(path: Path, type_: type[T]) -> T:
    try:
        return msgspec.json.decode(path.read_bytes(), type=type_)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except UNREADABLE as error:
        raise UserError(f"{path}: {error}") from error


def write_lines(path: Path, records: Iterable[Any]) -> None:
    encode = msgspec.json.Encoder().encode_lines
    write(path, encode(list(records)))


def read_lines(path: Path, type_: type[T]) -> Iterator[T]:
    """The records of a complete file; any line that is not one is an error naming line and field."""
    decoder = msgspec.json.Decoder(type_)
    if not path.is_file():
        raise UserError(f"{path}: no such file")
    with path.open("rb") as file, jsonlines.Reader(file, loads=decoder.decode) as reader:
        try:
            yield from reader
        except jsonlines.InvalidLineError as error:
            raise UserError(f"{path}, line {error.lineno}: {error.__cause__ or error}") from error


class Log:
    """An append-only file of records that a killed process leaves whole but for its last line."""

    def __init__(self, path: Path, type_: type[Any]) -> None:
        self.path = path
        self._decoder = msgspec.json.Decoder(type_)
        self._encoder = msgspec.json.Encoder()
        self._synced = 0.0
        self._mended = False

    def read(self) -> list[Any]:
        """The records written whole; a torn last line, which is done again, is none."""
        if not self.path.exists():
            return []
        data = self.path.read_bytes()
        records = []
        for number, line in enumerate(data[: _whole(data)].splitlines(), 1):
            try:
                records.append(self._decoder.decode(line))
            except UNREADABLE as error:
                raise UserError(f"{self.path}, line {number}: {error}") from error
        return records

    def append(self, records: Iterable[Any]) -> None:
        """Appends whole lines: safe from kill -9 at once, from a power cut within a second."""
        with writing(self.path), self.path.open("ab") as file:
            if not self._mended:
                os.truncate(file.fileno(), _whole(self.path.read_bytes()))
                self._mended = True
            file.write(self._encoder.encode_lines(list(records)))
            if time.monotonic() - self._synced > 1:
                file.flush()
                os.fsync(file.fileno())
                self._synced = time.monotonic()


def _whole(data: bytes) -> int:
    """How far lines go that end; what follows was torn by a kill."""
    return data.rfind(b"\n") + 1
