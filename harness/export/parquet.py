"""Writes rows as parquet files that `datasets` and the Hub read with their images.

The files contain the images. The metadata of the schema has the features of `datasets`, so that a reader
knows which columns are images.
"""

import json
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.files import store
from harness.registry import to_install

# A feature of `datasets` as JSON. All of its versions read "Sequence", and only new ones "List".
Feature = Any
TEXT: Feature = {"dtype": "string", "_type": "Value"}
NUMBER: Feature = {"dtype": "int64", "_type": "Value"}
IMAGES: Feature = {"feature": {"_type": "Image"}, "_type": "Sequence"}
# Values of a row, by column.
Values = Mapping[str, Any]

# The folder of the files in an export.
DATA = "data"
# The Hub recommends files of at most 500 MB, and row groups of 100 rows if there are images.
SHARD_BYTES = 450_000_000
GROUP_ROWS = 100
# A reader decodes a whole row group at a time.
GROUP_BYTES = 32_000_000


def shard(name: str, number: int) -> str:
    return f"{name}-{number:05d}.parquet"


def all_shards(name: str) -> str:
    """The pattern of the names of all shards."""
    return f"{name}-*.parquet"


def write_shards(folder: Path, name: str, features: Mapping[str, Feature], rows: Iterable[Values]) -> int:
    """Writes folder/NAME-00000.parquet, -00001 and so on, and returns their number.

    Each file is either complete or does not exist.
    """
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError as error:
        raise UserError(f"for: pyarrow is not installed; {to_install('benchmarks')}") from error
    metadata = {"huggingface": json.dumps({"info": {"features": features}})}
    types = [(column, _arrow(pa, feature)) for column, feature in features.items()]
    schema = pa.schema(types, metadata=metadata)
    groups, number = _groups(rows), 0
    group = next(groups, None)
    while group is not None:
        size = 0
        with (
            store.replacing(folder / shard(name, number)) as file,
            parquet.ParquetWriter(file, schema, compression="zstd") as writer,
        ):
            while group is not None and size < SHARD_BYTES:
                writer.write_table(pa.Table.from_pylist(group[0], schema))
                size += group[1]
                group = next(groups, None)
        number += 1
    return number


def _groups(rows: Iterable[Values]) -> Iterator[tuple[list[Values], int]]:
    """The rows of each row group, and how many bytes they have."""
    group: list[Values] = []
    size = 0
    for row in rows:
        group.append(row)
        size += row_bytes(row)
        if len(group) == GROUP_ROWS or size >= GROUP_BYTES:
            yield group, size
            group, size = [], 0
    if group:
        yield group, size


def row_bytes(value: Any) -> int:
    """The size of all texts and images in a row, before compression."""
    if isinstance(value, Mapping):
        return sum(map(row_bytes, value.values()))
    if isinstance(value, list):
        return sum(map(row_bytes, value))
    return len(value.encode()) if isinstance(value, str) else len(value) if isinstance(value, bytes) else 8


def _arrow(pa: Any, feature: Feature) -> Any:
    """The type of a column in pyarrow."""
    if isinstance(feature, list):
        return pa.list_(_arrow(pa, feature[0]))
    kind = feature.get("_type")
    if kind == "Value":
        return {"string": pa.string, "int64": pa.int64}[feature["dtype"]]()
    if kind == "Image":
        return pa.struct({"bytes": pa.binary(), "path": pa.string()})
    if kind == "Sequence":
        return pa.list_(_arrow(pa, feature["feature"]))
    return pa.struct({name: _arrow(pa, each) for name, each in feature.items()})


def read_rows(folder: Path, variant: str, split: str) -> Iterator[dict[str, Any]]:
    """The rows of an export, for the files next to it."""
    from pyarrow import parquet

    files = sorted((folder / DATA / variant).glob(all_shards(split)))
    if not files:
        raise UserError(f"split: expected a variant and a split of {folder}, got {variant} and {split}")
    for file in files:
        with parquet.ParquetFile(file) as opened:
            for group in range(opened.num_row_groups):
                yield from opened.read_row_group(group).to_pylist()
