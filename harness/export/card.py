"""The dataset card of an export: README.md, whose front matter `datasets` and the Hub read."""

import hashlib
from importlib.metadata import version
from itertools import groupby
from pathlib import Path

from jinja2 import Environment, StrictUndefined

from harness.export.format import Export, Format
from harness.files import store
from harness.variants import IN_CONTEXT, INTERNALIZED, OVERRIDE

# The Hub's names of sizes, by the number of rows from which the next one counts.
SIZES = {1_000: "n<1K", 10_000: "1K<n<10K", 100_000: "10K<n<100K", 1_000_000: "100K<n<1M"}
LARGEST = "1M<n<10M"
MEANINGS = {
    INTERNALIZED.name: "the policy governs the answer but is not in the prompt: the model must know it",
    IN_CONTEXT.name: "the policy is in the prompt",
    OVERRIDE.name: "a replacement with the same name is in the prompt and governs the answer",
}


def card(export: Export, format_: Format) -> str:
    """The text of README.md."""
    template = (Path(__file__).parent / "card.md.jinja").read_text(encoding="utf-8")
    environment = Environment(trim_blocks=True, lstrip_blocks=True, undefined=StrictUndefined)
    rows = sum(table.rows for table in export.tables)
    by_variant = {name: list(of) for name, of in groupby(export.tables, key=lambda table: table.variant)}
    return environment.from_string(template).render(
        name=export.name,
        family=export.benchmark.manifest.family,
        digest=export.benchmark.manifest.digest,
        data_version=_data_version(export),
        # Of published questions, whose owners chose the license.
        converted=bool(export.benchmark.manifest.sources),
        scorer=export.benchmark.family.scorer,
        version=version("policy-internalization"),
        size=next((size for limit, size in SIZES.items() if rows < limit), LARGEST),
        pictures=any(table.images for table in export.tables),
        by_variant=by_variant,
        meanings=MEANINGS,
        columns=format_.columns,
        title=format_.title,
        usage=format_.usage.replace("{out}", export.out.resolve().name).replace("{name}", export.name),
    )


def _data_version(export: Export) -> str:
    """A version that differs for other data.

    `datasets` keeps what it has read under the name of the folder, the configuration and this version, but
    not under the path: without it, the data of another folder with the same name would be read.
    """
    files = [store.sha256(export.out / file) for table in export.tables for file in table.files]
    digest = hashlib.sha256("".join(files).encode()).hexdigest()
    return f"1.{int(digest[:6], 16)}.{int(digest[6:12], 16)}"
