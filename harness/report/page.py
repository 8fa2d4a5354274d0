"""The HTML report: one file that needs no network and is safe to open, whatever a model or a policy wrote.

Everything from data passes through autoescape, and the page's own policy (CSP) lets no script run but ours.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from importlib import resources
from typing import Any

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from harness.judge.summary import Judgement, figures
from harness.metrics import SCORES
from harness.records import Report, ReportRow
from harness.report.bars import distribution_bars, fault_bars
from harness.report.gallery import OUTCOMES, make_gallery
from harness.report.plots import FAULTS, group_plots, variant_index
from harness.report.savings import savings
from harness.results import Results
from harness.variants import VARIANTS

BRANCHING = "branching"
TIMED = "prompt_tokens", "prefill_seconds", "seconds"
REFERRAL = (
    "Referral",
    "What responses say of the policy's rules, checked against the policy. Precision: the share of what is "
    "said that is true; n are the responses that say something. Recall: the share of the rules on the way to "
    "the right answer of which something is said, and nothing false. Nonexistent rules: their share of the "
    "rules that are named; lower is better.",
)
TABLES = (
    ("referral", *REFERRAL),
    ("nonexistent", *REFERRAL),
    ("part: ", "Parts of the score", "Each named part of the score, by itself."),
    ("", "Other metrics", ""),
)
"""How the metrics of a table begin, its title and its explanation; the first that fits."""


def render_page(report: Report, results: Results, judgements: Sequence[Judgement] = ()) -> str:
    """The report as one HTML page; raises UserError where a picture to show is not as it was made."""
    script = ours("report.js")
    gallery = make_gallery(results)
    whole = [row for row in report.rows if not row.group]
    scores = [row for row in whole if row.metric.startswith(SCORES)]
    return (
        environment()
        .get_template("report.html")
        .render(
            report=report,
            manifest=results.benchmark.manifest,
            style=ours("report.css"),
            script=script,
            script_hash=base64.b64encode(hashlib.sha256(script.encode()).digest()).decode(),
            warnings=list(warnings(report)),
            rows=scores,
            metrics=list(dict.fromkeys(row.metric for row in scores)),
            plots=group_plots(report.rows),
            tables=_tables(whole),
            branching={row.variant: row for row in whole if row.metric == BRANCHING},
            distributions=[(d, distribution_bars(d)) for d in report.distributions if any(d.cited)],
            faults=_faults(report.rows),
            judgements=[(judgement, figures(judgement)) for judgement in judgements],
            variant_index=variant_index,
            variants=[VARIANTS[name] for name in report.run.variants],
            gallery=gallery,
            outcomes=[name for name in OUTCOMES if any(s.outcome == name for s in gallery.samples)],
            usage={u.variant: u for u in report.usage},
            timed=[u for u in report.usage if any(getattr(u, name) is not None for name in TIMED)],
            savings=savings(report.usage),
            total=len(results.results),
        )
    )


def _tables(whole: Sequence[ReportRow]) -> list[tuple[str, str, list[ReportRow]]]:
    """Title, explanation and rows of what was measured beside the scores, each metric's variants together."""
    found: dict[tuple[str, str], list[ReportRow]] = {}
    for row in by_metric(whole):
        if not row.metric.startswith((*SCORES, BRANCHING)):
            titles = [t for start, *t in TABLES if row.metric.startswith(start)]
            title, explanation = titles[0]
            found.setdefault((title, explanation), []).append(row)
    return [(title, explanation, rows) for (title, explanation), rows in found.items()]


def by_metric(rows: Sequence[ReportRow]) -> list[ReportRow]:
    """Metrics in their order, the variants of each together."""
    order = list(dict.fromkeys(row.metric for row in rows))
    return sorted(rows, key=lambda row: order.index(row.metric))


def _faults(rows: Sequence[ReportRow]) -> tuple[list[ReportRow], Markup] | None:
    """The rows, the fault that is most frequent over all variants first, and their plot."""
    found = [row for row in rows if row.metric == FAULTS]
    total: dict[str, float] = defaultdict(float)
    for row in found:
        total[row.member] += row.mean or 0
    found.sort(key=lambda row: (-total[row.member], row.member, variant_index(row)))
    return (found, fault_bars(found)) if found else None


def environment() -> Environment:
    """Templates whose every value is escaped."""
    made = Environment(
        loader=PackageLoader("harness.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "percent": percent,
        "plain": plain,
        "flat": flat,
        "thousands": thousands,
        "seconds": seconds,
    }
    return made


def ours(name: str) -> Markup:
    """A file of ours that goes into the page as it is."""
    return Markup((resources.files("harness.report") / "templates" / name).read_text(encoding="utf-8"))


def warnings(report: Report) -> Iterator[str]:
    """What a reader must know before believing the scores, in plain words."""
    rows = [row for row in report.rows if not row.group]
    of = f"of {sum(usage.requests for usage in report.usage)} responses"
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


def _counts(rows: Iterable[ReportRow], name: str) -> dict[str, int]:
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


def seconds(value: float | None) -> str:
    return "–" if value is None else f"{value:.3g}"


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
