"""The HTML report: one file that needs no network and is safe to open, whatever a model or a policy wrote.

Everything from data passes through autoescape, and the page's own policy (CSP) lets no script run but ours.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping
from importlib import resources
from typing import Any

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.gallery import OUTCOMES, make_gallery
from harness.plots import group_plots, variant_index
from harness.records import Report, Row
from harness.results import Results
from harness.variants import VARIANTS


def render_page(report: Report, results: Results) -> str:
    """The report as one HTML page; raises UserError where a picture to show is not as it was made."""
    script = ours("report.js")
    gallery = make_gallery(results)
    whole = [row for row in report.rows if not row.group]
    return (
        environment()
        .get_template("report.html")
        .render(
            report=report,
            manifest=results.benchmark.manifest,
            style=ours("report.css"),
            script=script,
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            warnings=list(warnings(report, results)),
            rows=whole,
            metrics=list(dict.fromkeys(row.metric for row in whole)),
            plots=group_plots(report.rows),
            variant_index=variant_index,
            variants=[VARIANTS[name] for name in report.run.variants],
            gallery=gallery,
            outcomes=[name for name in OUTCOMES if any(s.outcome == name for s in gallery.samples)],
            usage={u.variant: u for u in report.usage},
            total=len(results.results),
        )
    )


def environment() -> Environment:
    """Templates whose every value is escaped."""
    made = Environment(
        loader=PackageLoader("harness"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {"percent": percent, "plain": plain, "flat": flat, "thousands": thousands}
    return made


def ours(name: str) -> Markup:
    """A file of ours that goes into the page as it is."""
    return Markup((resources.files("harness") / "templates" / name).read_text(encoding="utf-8"))


def warnings(report: Report, results: Results) -> Iterator[str]:
    """What a reader must know before believing the scores, in plain words."""
    rows = [row for row in report.rows if not row.group]
    of = f"of {len(results.results)} responses"
    if failed := _counts(rows, "errors"):
        yield (
            f"This run is incomplete: {sum(failed.values())} {of} failed ({_each(failed)}). "
            "They are in no mean, and the interval reaches from all of them wrong to all of them right. "
            "The same command again asks for them once more."
        )
    if cut := _counts(rows, "truncated"):
        limit = report.run.sampling.get("max_new_tokens")
        yield f"{sum(cut.values())} {of} were cut off at {limit} new tokens, max_new_tokens ({_each(cut)})."
    if unparsed := _counts(rows, "unparsed"):
        yield f"{sum(unparsed.values())} {of} hold no answer that could be read ({_each(unparsed)})."
    for name, count in report.skipped.items():
        yield f"{count} prompts were not sent under {name}: their instances have no policy to put there."
    if report.run.limit is not None:
        yield f"Only the first {report.run.limit} instances of the split were asked (limit)."
    check = report.batch_check
    if check and check.differ:
        yield (
            f"{check.asked} responses asked again one at a time: {check.differ} differ. "
            "The scores depend on the batch size."
        )


def _counts(rows: Iterable[Row], name: str) -> dict[str, int]:
    """By variant, without zeros; once a variant, though several metrics may count the same responses."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.variant] = max(counts.get(row.variant, 0), getattr(row, name))
    return {variant: count for variant, count in counts.items() if count}


def _each(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {variant}" for variant, count in counts.items())


def percent(value: float | None) -> str:
    return "–" if value is None else f"{100 * value:.1f}"


def thousands(value: float | None) -> str:
    return "–" if value is None else f"{value:,.0f}".replace(",", "\N{NARROW NO-BREAK SPACE}")


def plain(value: Any) -> str:
    """A value of the configuration as a reader would write it."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "none"}[value]
    return value if isinstance(value, str) else json.dumps(msgspec.to_builtins(value), ensure_ascii=False)


def flat(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings under dotted names, so that each has a line."""
    lines: dict[str, Any] = {}
    for name, value in mapping.items():
        if isinstance(value, Mapping):
            lines |= flat(value, f"{prefix}{name}.")
        else:
            lines[f"{prefix}{name}"] = value
    return lines
