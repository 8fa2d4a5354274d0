"""Reads the rows of published benchmarks from local files or from a dataset on the Hugging Face hub.

A source that exists locally is read locally, without any network access.
"""

import codecs
import gzip
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import msgspec

from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import refuse_outside

T = TypeVar("T")
FORMATS = (".parquet", ".jsonl", ".json", ".jsonl.gz", ".json.gz")
HUB_ID = re.compile(r"[\w-][\w.-]*/[\w.-]+")
# Images that a JSON file names by path must be in this folder beside it, so that they can be hashed too.
IMAGES = "images"


class SourceImage(msgspec.Struct, frozen=True):
    """An image as the hub stores it: its bytes (base64 in JSON), or a path relative to the file."""

    data: bytes | None = msgspec.field(name="bytes", default=None)
    path: str | None = None


@dataclass(frozen=True, slots=True)
class SourceFiles:
    """The files of a published benchmark by split, all in one folder."""

    folder: Path
    files: dict[str, list[Path]]

    def hashes(self) -> dict[str, str]:
        """The sha256 of all files that a conversion may read, images included, by relative path."""
        paths = [path for split in self.files.values() for path in split]
        if any(path.suffix != ".parquet" for path in paths):
            paths += sorted(path for path in (self.folder / IMAGES).rglob("*") if path.is_file())
        return {path.relative_to(self.folder).as_posix(): store.sha256(path) for path in paths}

    def rows(self, split: str, type_: type[T]) -> Iterator[tuple[str, Path, T]]:
        """For each row: its position for error messages, its file, and the row as this type.

        UserError names the row and the column that is wrong.
        """
        for path in self.files[split]:
            for number, row in enumerate(_read(path), 1):
                position = f"{path}, row {number}"
                try:
                    yield position, path, msgspec.convert(row, type_)
                except msgspec.ValidationError as error:
                    raise UserError(f"{position}: {error}") from error


def find(source: str, hub_folder: str, splits: tuple[str, ...]) -> SourceFiles:
    """The files of each split in a local file or folder, or in this folder of a hub dataset.

    A single file is the first split; the others are looked for in its folder.
    """
    path = Path(source)
    if path.is_file():
        return SourceFiles(path.parent, {**_by_split(path.parent, splits), splits[0]: [path]})
    if not path.is_dir():
        path = _download(source, hub_folder)
    for folder in (path / hub_folder, path):
        files = _by_split(folder, splits)
        if files[splits[0]]:
            return SourceFiles(folder, files)
    raise UserError(f"{source}: expected {splits[0]}.parquet or {splits[0]}.jsonl in it or in {hub_folder!r}")


def _by_split(folder: Path, splits: tuple[str, ...]) -> dict[str, list[Path]]:
    """The files named SPLIT.FORMAT, or like the parts on the hub, SPLIT-00000-of-00002.FORMAT."""
    endings = "|".join(map(re.escape, FORMATS))
    paths = sorted(folder.iterdir()) if folder.is_dir() else []
    return {
        split: [p for p in paths if re.fullmatch(rf"{split}(-\d+-of-\d+)?({endings})", p.name)]
        for split in splits
    }


def _download(source: str, hub_folder: str) -> Path:
    """A copy of this folder of a hub dataset, in the hub's own cache."""
    if not HUB_ID.fullmatch(source) or source.endswith(FORMATS):
        raise UserError(f"{source}: no such file or folder, nor a Hugging Face dataset as OWNER/NAME")
    import httpx
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(source, repo_type="dataset", allow_patterns=[f"{hub_folder}/*"]))
    except (OSError, ValueError, httpx.HTTPError) as error:
        reason = str(error).strip().split("\n")[0]
        raise UserError(
            f"{source}: found neither locally nor on the hub ({reason}); name a local folder or file"
        ) from error


def _read(path: Path) -> Iterator[Any]:
    if path.suffix == ".parquet":
        yield from _read_parquet(path)
        return
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        data = data.removeprefix(codecs.BOM_UTF8)
        is_array = data.lstrip().startswith(b"[")
        yield from msgspec.json.decode(data) if is_array else msgspec.json.Decoder().decode_lines(data)
    except (OSError, EOFError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise UserError(f"{path}: cannot be read as JSON or JSON lines: {error}") from error


def _read_parquet(path: Path) -> Iterator[Any]:
    import pyarrow
    from pyarrow import parquet

    try:
        with parquet.ParquetFile(path) as file:
            # One row group and 64 rows at a time, because with images a file may not fit into memory.
            for group in range(file.num_row_groups):
                for batch in file.iter_batches(batch_size=64, row_groups=[group]):
                    yield from batch.to_pylist()
    except (OSError, pyarrow.ArrowException) as error:
        raise UserError(f"{path}: cannot be read as Parquet: {error}") from error


def image_data(image: SourceImage | str, file: Path, position: str) -> bytes:
    """The stored bytes of the image of a row in this file. UserError if there are none."""
    if isinstance(image, str):
        image = SourceImage(path=image)
    if image.data is not None:
        return image.data
    path = image.path or ""
    refuse_outside(path)
    if not path.startswith(f"{IMAGES}/"):
        raise UserError(f"{position}: expected an image's bytes, or a path in {IMAGES}/, got {path!r}")
    try:
        return (file.parent / path).read_bytes()
    except OSError as error:
        raise UserError(f"{file.parent / path}: cannot be read: {error.strerror}") from error
