"""Reads and writes files that are never half written, even if the process is killed (kill -9).

`write`, `write_json` and `write_lines` write a temporary file and rename it, so the target is either the old
file or the new one. A `Log` is appended to record by record. `locked` admits one process at a time.
"""

import codecs
import errno
import fcntl
import hashlib
import os
import re
import time
import tomllib
import weakref
from array import array
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from io import FileIO
from itertools import accumulate
from pathlib import Path
from typing import Any, BinaryIO, Generic, TypeVar

import msgspec

from harness.errors import UserError
from harness.files.mistakes import mistake

T = TypeVar("T")
# Raised if a text is not JSON of the expected record.
DECODE_ERRORS = (msgspec.DecodeError, UnicodeDecodeError, RecursionError)
NO_SPACE = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
# Files that are being written, or that a killed process left behind.
TEMPORARY_FILES = ".*.tmp"
_UTF_16 = codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE
_SCORE_AGAIN = "delete this file and run the same `harness eval` or `harness score` command again"
# If a file contains one JSON array.
_ONE_PER_LINE = (
    "write each object of the list on a line of its own, without the brackets and commas of the list"
)
# What to do if a file is damaged, by its name.
_REPAIRS = {
    "manifest.json": "restore it, or generate the benchmark again in a new folder",
    "run.json": "restore it, or evaluate again in a new folder",
    "report.json": _SCORE_AGAIN,
    "scores.jsonl": _SCORE_AGAIN,
}
_DEEP_KEY = re.compile(r"""(?<![\w"'.-])(?:[\w"'-]++[ \t]*+\.[ \t]*+){64}""")


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Within the context, turns the operating system's errors about writing this path into a UserError."""
    try:
        yield
    except OSError as error:
        if error.errno in NO_SPACE:
            raise UserError(f"{path}: no space left; free some and rerun the command to resume") from error
        if isinstance(error, FileExistsError | NotADirectoryError | IsADirectoryError):
            found = next(p for p in (path, *path.parents) if p.exists())
            got, expected = ("a folder", "a file") if found.is_dir() else ("a file", "a folder")
            raise UserError(f"{found}: expected {expected}, got {got}; name another") from error
        raise UserError(f"{path}: cannot be written: {error.strerror}; name another path") from error


def is_empty(folder: Path, ignore: str = "") -> bool:
    """Whether a folder contains nothing but the ignored file, empty files and temporary files."""
    ignored = {ignore} | {path.name for path in folder.glob(TEMPORARY_FILES)}
    return all(p.name in ignored or (p.is_file() and not p.stat().st_size) for p in folder.iterdir())


@contextmanager
def locked(file: Path, wait: bool = False) -> Iterator[None]:
    """Within the context, no other process can lock this file: it waits, or gets a UserError.

    The file is created if needed and never removed. The lock of a killed process is released by the kernel.
    """
    with writing(file):
        opened = file.open("ab")
    with opened:
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            message = f"{file.parent}: another process is using this folder; wait for it or name another"
            raise UserError(message) from None
        yield


def write(path: Path, data: bytes) -> None:
    """Writes a complete file, or leaves the old one unchanged."""
    with replacing(path) as file:
        file.write(data)


@contextmanager
def replacing(path: Path) -> Iterator[BinaryIO]:
    """A file to write to, which replaces the old one when the context ends without an exception."""
    with writing(path):
        if path.is_dir():  # its name may be empty, as that of "."
            raise IsADirectoryError
        path = path.resolve()  # a link stays one
        if path.exists() and not path.is_file():
            raise UserError(f"{path}: expected a file to replace, got a pipe or a device; name another path")
        temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
        try:
            with temporary.open("wb") as file:
                yield file
                file.flush()
                # Without this, a power cut after the rename could leave an empty file.
                os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            temporary.unlink(missing_ok=True)


def write_json(path: Path, value: Any) -> None:
    write(path, msgspec.json.format(msgspec.json.encode(value), indent=1) + b"\n")


def read_json(path: Path, type_: type[T]) -> T:
    """The file's content as this type. UserError names the file and the field that is wrong."""
    try:
        return decoded(path, path.read_bytes(), type_)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None


def decoded(path: Path, data: bytes, type_: type[T]) -> T:
    """The bytes of a JSON file as this type. UserError names the file, the field and the repair."""
    try:
        return msgspec.json.decode(data.removeprefix(codecs.BOM_UTF8), type=type_)
    except DECODE_ERRORS as error:
        repair = _REPAIRS.get(path.name, "restore it")
        problem = f"{path}: {mistake(error, type_)}: the file is damaged or of another version"
        raise UserError(f"{problem}; {repair}") from error


def read_toml(path: Path, type_: type[T]) -> T:
    """A TOML file's content as this type. UserError names the file and the line or field that is wrong."""
    try:
        # Some editors of Windows write a mark at the beginning.
        text = path.read_text(encoding="utf-8-sig")
        # The time to parse a key grows with the square of its depth.
        if _DEEP_KEY.search(text):
            raise ValueError("a key is nested too deeply")
        return msgspec.convert(tomllib.loads(text), type_)
    except OSError as error:
        raise UserError(f"{path}: cannot be read: {error.strerror}") from None
    except msgspec.ValidationError as error:
        raise UserError(f"{path}: {mistake(error, type_, 'a TOML file')}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path}: expected a TOML file: {error}") from error


def write_lines(path: Path, records: Iterable[Any]) -> None:
    """Writes one record at a time, so that records from a generator are never all in memory."""
    import jsonlines  # slow to import, and --help does not need it

    with replacing(path) as file, jsonlines.Writer(file, dumps=msgspec.json.Encoder().encode) as writer:
        writer.write_all(records)


def read_lines(path: Path, type_: type[T]) -> Iterator[T]:
    """The records of a complete file. UserError names the file, the line and the field that is wrong."""
    _require_file(path)
    with path.open("rb") as file:
        yield from _decoded(path, file, msgspec.json.Decoder(type_))


def _require_file(path: Path) -> None:
    if path.is_dir():
        raise UserError(f"{path}: expected a file with one JSON object per line, got a folder; name the file")
    if not path.is_file():
        raise UserError(f"{path}: no such file")


def _decoded(
    path: Path, lines: Iterable[bytes], decoder: msgspec.json.Decoder[T], of_user: bool = False
) -> Iterator[T]:
    """The records of lines. `of_user`: a user wrote all of them, and each is needed."""
    for number, line in enumerate(lines, 1):
        try:
            record = decoder.decode(line.removeprefix(codecs.BOM_UTF8))
        except DECODE_ERRORS as error:
            problem = mistake(error, decoder.type, "one JSON object per line")
            repair = _REPAIRS.get(path.name, "correct or delete this line")
            if number == 1 and line.lstrip().startswith(b"["):
                repair = _ONE_PER_LINE
            elif of_user and (isinstance(error, UnicodeDecodeError) or line.startswith(_UTF_16)):
                problem, repair = "expected text in UTF-8, got another encoding", "save the file in UTF-8"
            elif of_user:
                repair = "correct this line" if line.strip() else "delete this line"
            raise UserError(f"{path}, line {number}: {problem}; {repair}") from error
        yield record


class Lines(Generic[T]):
    """The records of a user's file by number. In memory is only where each line starts: 8 bytes per line.

    A file of the same name that replaces it is not read.
    """

    def __init__(self, path: Path, type_: type[T]) -> None:
        """Raises UserError if there is no such file."""
        _require_file(path)
        self.path, self._decoder = path, msgspec.json.Decoder(type_)
        self._file = path.open("rb")
        weakref.finalize(self, self._file.close)
        self._starts = array("q", accumulate(map(len, self._file), initial=0))
        while len(self) and not self._line(len(self) - 1).strip():  # blank lines at the end do no harm
            self._starts.pop()

    def __len__(self) -> int:
        return len(self._starts) - 1

    def __iter__(self) -> Iterator[T]:
        """UserError names the line and the field that is wrong."""
        return _decoded(self.path, map(self._line, range(len(self))), self._decoder, of_user=True)

    def __getitem__(self, number: int) -> T:
        return next(_decoded(self.path, [self._line(number)], self._decoder, of_user=True))

    def _line(self, number: int) -> bytes:
        self._file.seek(self._starts[number])
        return self._file.readline()


class Log:
    r"""An append-only file of JSON lines, one record each, that survives kill -9.

        {"instance": "a", ...}\n
        {"instance": "b", ...}\n
        {"instance": "c", "te              the process was killed while it wrote this record

    A line is complete if it ends in \n. `read` ignores an incomplete last line, so its record counts as not
    done; the first `append` of the next process cuts it off. Any other unreadable line is an error.
    """

    def __init__(self, path: Path, type_: type[Any]) -> None:
        self.path = path
        self._encoder, self._decoder = msgspec.json.Encoder(), msgspec.json.Decoder(type_)
        self._synced = 0.0
        self._reader: BinaryIO | None = None
        self._writer: FileIO | None = None

    def __del__(self) -> None:
        for file in (self._reader, self._writer):
            if file is not None:
                file.close()

    def read(self) -> list[Any]:
        """All complete records. UserError names the line that cannot be read."""
        return [record for _, record in self.scan()]

    def scan(self) -> Iterator[tuple[int, Any]]:
        """Each complete record with the position at which its line starts."""
        if not self.path.exists():
            return
        start = end = 0

        def lines(file: BinaryIO) -> Iterator[bytes]:
            nonlocal start, end
            for line in file:
                if not line.endswith(b"\n"):
                    return
                start, end = end, end + len(line)
                yield line

        with self.path.open("rb") as file:
            for record in _decoded(self.path, lines(file), self._decoder):
                yield start, record

    def read_at(self, start: int) -> Any:
        """The record whose line starts at this position."""
        if self._reader is None:
            self._reader = self.path.open("rb")
        self._reader.seek(start)
        return self._decoder.decode(self._reader.readline())

    def append(self, records: Iterable[Any]) -> int:
        """Appends records. They survive kill -9 at once.

        A power cut may lose those since the last fsync, which an append runs at most once per second.

        Returns the position at which the first one starts.
        """
        lines = self._encoder.encode_lines(list(records))
        with writing(self.path):
            if self._writer is None:
                self._writer = FileIO(self.path, "a")
                os.truncate(self._writer.fileno(), _complete_bytes(self.path))
            start = self._writer.seek(0, os.SEEK_END)
            if self._writer.write(lines) < len(lines):
                self._writer.truncate(start)
                raise OSError(errno.ENOSPC, "only a part could be written")
            # fsync takes milliseconds, so not after every record.
            if time.monotonic() - self._synced > 1:
                os.fsync(self._writer.fileno())
                self._synced = time.monotonic()
            return start


def _complete_bytes(path: Path) -> int:
    """The length of all complete lines."""
    with path.open("rb") as file:
        return sum(len(line) for line in file if line.endswith(b"\n"))
