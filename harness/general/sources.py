"""Where a published benchmark's rows come from: local files, or a dataset of the Hugging Face hub.

What exists locally is read locally, and nothing is then asked of any network.
"""

from __future__ import annotations

import gzip
import io
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec
from PIL import Image

from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import refuse_outside

T = TypeVar("T")
FORMATS = (".parquet", ".jsonl", ".json", ".jsonl.gz", ".json.gz")
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
PICTURES = "images"
"""The folder beside a JSON file in which pictures named by path must lie, so that they can be hashed too."""
MISSING = "{} is not installed; run: pip install 'policy-internalization[benchmarks]'"


class Picture(msgspec.Struct, frozen=True):
    """An image as Hugging Face stores one: its bytes (base64 in JSON), or a path relative to the file."""

    data: bytes | None = msgspec.field(name="bytes", default=None)
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Published:
    """The files of a published benchmark, by split, all in one folder."""

    folder: Path
    files: dict[str, list[Path]]

    def hashes(self) -> dict[str, str]:
        """By relative path, the sha256 of all that a conversion may read: pictures named by path too."""
        named = [path for paths in self.files.values() for path in paths]
        if any(path.suffix != ".parquet" for path in named):
            named += sorted(path for path in (self.folder / PICTURES).rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix(): store.sha256(path) for path in named}

    def rows(self, split: str, type_: type[T]) -> Iterator[tuple[str, Path, T]]:
        """Where each row stands, in words and as its file, and the row; UserError names row and column."""
        for path in self.files[split]:
            for number, row in enumerate(_read(path), 1):
                where = f"{path}, row {number}"
                try:
                    yield where, path, msgspec.convert(row, type_)
                except msgspec.ValidationError as error:
                    raise UserError(f"{where}: {error}") from error


def find(source: str, folder: str, splits: tuple[str, ...]) -> Published:
    """The files of each split, of a local file or folder, or of a hub id; folder is the hub's for them.

    The first split must be there, the others may be missing. A single file is the first split, and the
    others are looked for beside it.
    """
    path = Path(source)
    if path.is_file():
        return Published(path.parent, {**_files(path.parent, splits), splits[0]: [path]})
    if not path.is_dir():
        path = _download(source, folder)
    for candidate in (path / folder, path):
        files = _files(candidate, splits)
        if files[splits[0]]:
            return Published(candidate, files)
    raise UserError(
        f"{source}: expected {splits[0]}.parquet or {splits[0]}.jsonl in it, or the hub's own files in "
        f"{folder!r}; found none"
    )


def _files(folder: Path, splits: tuple[str, ...]) -> dict[str, list[Path]]:
    """Named as SPLIT.FORMAT, or as the hub's parts SPLIT-00000-of-00002.FORMAT."""
    endings = "|".join(map(re.escape, FORMATS))
    present = sorted(folder.iterdir()) if folder.is_dir() else []
    return {
        split: [p for p in present if re.fullmatch(rf"{split}(-\d+-of-\d+)?({endings})", p.name)]
        for split in splits
    }


def _download(source: str, folder: str) -> Path:
    """A copy of what the hub has in this folder, kept in the hub's own cache."""
    if not HUB_ID.fullmatch(source) or source.endswith(FORMATS):
        raise UserError(f"{source}: no such file or folder, nor a Hugging Face dataset as OWNER/NAME")
    try:
        import httpx
        from huggingface_hub import snapshot_download
    except ImportError:
        raise UserError(f"{source}: {MISSING.format('huggingface_hub')}") from None
    try:
        return Path(snapshot_download(source, repo_type="dataset", allow_patterns=[f"{folder}/*"]))
    except (OSError, ValueError, httpx.HTTPError) as error:
        reason = str(error).strip().split("\n")[0]
        raise UserError(
            f"{source}: no such local path, and not to be had from the Hugging Face hub ({reason}); "
            "name a local folder or file behind the colon instead"
        ) from error


def _read(path: Path) -> Iterator[Any]:
    if path.suffix == ".parquet":
        yield from _parquet(path)
        return
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        lines = data.lstrip().startswith(b"[")
        yield from msgspec.json.decode(data) if lines else msgspec.json.Decoder().decode_lines(data)
    except (OSError, EOFError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as JSON or JSON lines: {error}") from error


def _parquet(path: Path) -> Iterator[Any]:
    """A few rows at a time, because their pictures may be large."""
    try:
        import pyarrow
        from pyarrow import parquet
    except ImportError:
        raise UserError(f"{path}: {MISSING.format('pyarrow')}") from None
    try:
        with parquet.ParquetFile(path) as file:
            for group in range(file.num_row_groups):  # all at once, it would hold the whole file
                for batch in file.iter_batches(batch_size=64, row_groups=[group]):
                    yield from batch.to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise UserError(f"{path}: cannot be read as Parquet: {error}") from error


def png(picture: Picture | str, file: Path, where: str) -> bytes:
    """A picture of a row of this file, as PNG and without loss."""
    if isinstance(picture, str):
        picture = Picture(path=picture)
    data = picture.data
    if data is None:
        path = picture.path or ""
        refuse_outside(path)
        if not path.startswith(f"{PICTURES}/"):
            raise UserError(f"{where}: expected an image's bytes, or a path in {PICTURES}/, got {path!r}")
        try:
            data = (file.parent / path).read_bytes()
        except OSError as error:
            raise UserError(f"{file.parent / path}: cannot be read: {error.strerror}") from error
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.format == "PNG":
                return data
            out = io.BytesIO()
            image.convert("RGB").save(out, "PNG")
            return out.getvalue()
    except (OSError, SyntaxError) as error:
        raise UserError(f"{where}: an image cannot be read: {error}") from error
