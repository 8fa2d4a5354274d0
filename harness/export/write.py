"""The command `harness export`: writes the data of one tool, its files, and a dataset card.

    OUT/export.json                 the request; written first
        data/VARIANT/SPLIT-*.parquet
        ...                         reward functions or tasks for the tool
        README.md                   the dataset card; written last, so it means that the export is complete

Each file is either complete or does not exist. After a kill, the same command writes all files again.
"""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import lru_cache
from pathlib import Path, PurePosixPath
from typing import Any

from harness import images, variants
from harness.errors import UserError
from harness.export.card import card
from harness.export.format import Export, Format, Table, images_count
from harness.export.parquet import DATA, Values, row_bytes, write_shards
from harness.export.rows import Row, images_in, rows
from harness.export.tools import FORMATS
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.files.workdir import reserve, using
from harness.progress import Bar, note
from harness.records import Part
from harness.request import ExportRequest

REQUEST, CARD = "export.json", "README.md"
# The Hub's viewer shows no larger rows.
ROW_BYTES = 2_000_000


class Loader:
    """Loads the images of a prompt as `datasets` stores them: bytes, and a name with the right suffix."""

    def __init__(self, benchmark: Benchmark) -> None:
        # The images of a policy are in many prompts.
        self._load = lru_cache(maxsize=256)(self._read)
        self.benchmark = benchmark

    def __call__(self, parts: Sequence[Part]) -> list[dict[str, Any]]:
        return [self._load(path) for path in images_in(parts)]

    def _read(self, path: str) -> dict[str, Any]:
        media_type, data = images.encoded(self.benchmark.check(path), path)
        name = PurePosixPath(path).with_suffix(f".{media_type.partition('/')[2]}").name
        return {"bytes": data, "path": name}


def export(benchmark: Benchmark, request: ExportRequest, out: Path) -> Export:
    """Writes an export, or writes the same one again.

    Raises UserError if the benchmark lacks a requested split, if `out` contains something else, or if another
    process uses it.
    """
    format_ = FORMATS[request.for_]
    names = request.variants or ",".join(format_.variants)
    chosen = [variant.name for variant in variants.parse(names)]
    given = request.splits.split(",") if request.splits is not None else benchmark.splits
    splits = list(dict.fromkeys(given))
    for split in splits:
        if split not in benchmark.splits:
            raise UserError(f"splits: expected some of {', '.join(benchmark.splits)}, got {split!r}")
    manifest = benchmark.manifest
    spec: dict[str, Any] = {
        "digest": manifest.digest,
        "images_digest": manifest.images_digest,
        "for": request.for_,
    }
    spec |= {"variants": chosen, "splits": splits, "limit": request.limit}
    with using(out, REQUEST, "an export"):
        reserve(out, REQUEST, spec, "an export", flags={"digest": "benchmark", "images_digest": "benchmark"})
        done = Export(benchmark, out, _write_tables(benchmark, format_, out, chosen, splits, request.limit))
        if not done.tables:
            raise UserError(f"variants: expected one that instances of {', '.join(splits)} have, got {names}")
        for path, text in {**format_.files(done), CARD: card(done, format_)}.items():
            with store.writing(out / path):
                (out / path).parent.mkdir(parents=True, exist_ok=True)
            store.write(out / path, text.encode())
    return done


def _write_tables(
    benchmark: Benchmark,
    format_: Format,
    out: Path,
    chosen: Sequence[str],
    splits: Sequence[str],
    limit: int | None,
) -> list[Table]:
    """Writes the rows of all variants and splits that have any."""
    # The card would say that the export is complete. The others are those of a killed command.
    for leftover in (out / CARD, *out.rglob(store.TEMPORARY_FILES)):
        leftover.unlink(missing_ok=True)
    pictures = Loader(benchmark)
    written = [
        _write_table(benchmark, format_, pictures, out, variant, split, limit)
        for variant in chosen
        for split in splits
    ]
    return [table for table in written if table is not None]


def _write_table(
    benchmark: Benchmark,
    format_: Format,
    pictures: Loader,
    out: Path,
    variant: str,
    split: str,
    limit: int | None,
) -> Table | None:
    """Writes the rows of a variant and a split; None if there are none."""
    found = list(rows(benchmark, variant, split, limit))
    if not found:
        return None
    large = 0

    def values() -> Iterator[Values]:
        nonlocal large
        for number, row in enumerate(Bar(found, desc=f"{variant} {split}", unit="", delay=1)):
            converted = format_.values(row, number, pictures)
            large += row_bytes(converted) > ROW_BYTES
            yield converted

    folder = out / DATA / variant
    with store.writing(folder):
        folder.mkdir(parents=True, exist_ok=True)
    table = _table(found, variant, split)
    features = {name: column.feature for name, column in format_.columns.items()}
    table = replace(table, shards=write_shards(folder, split, features, values()))
    if large:
        note(f"{large} rows of {variant} {split} have over 2 MB; the Hub's viewer leaves them out")
    return table


def _table(found: Sequence[Row], variant: str, split: str) -> Table:
    most = max(map(images_count, found))
    return Table(variant, split, len(found), 0, most, all(row.is_closed for row in found))
