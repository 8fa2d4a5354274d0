"""The HTML report: one file that needs no network and is safe to open, even if responses contain HTML.

All data is escaped, and the page's content security policy allows only the page's own script.
"""

import base64
import hashlib
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cache, partial
from importlib import resources
from typing import Any, TypeVar

import msgspec
from jinja2 import Environment, PackageLoader, StrictUndefined, Template
from markupsafe import Markup

from harness.backends import CHANGED, is_scripted, location, retry
from harness.judge.summary import Judgement, figures
from harness.metrics.accuracy import ACCURACY
from harness.metrics.branching import BRANCHING
from harness.metrics.metric import SECONDS, SHARE, TOKENS, Metric, Unit, find, installed, with_unit
from harness.records import Report, ReportRow
from harness.report.gallery import OUTCOMES, make_gallery
from harness.report.plots import distribution_bars, group_plot, groups, variant_index
from harness.report.savings import savings
from harness.results import Results
from harness.text import enumeration, texts
from harness.variants import OVERRIDE, VARIANTS

T = TypeVar("T")
D = TypeVar("D")
TIMED = "prompt_tokens", "prefill_seconds", "seconds"


def render_page(report: Report, results: Results, judgements: Sequence[Judgement] = ()) -> str:
    """The report as one HTML page. What cannot be drawn is left out, and the warnings say why.

    In place of an image that cannot be read it shows the reason.
    """
    script = packaged("drawing.js", "harness.drawing") + packaged("report.js")
    gallery = make_gallery(results)
    ungrouped = by_metric([row for row in report.rows if not row.group])
    branching = {row.variant: row for row in ungrouped if row.metric == BRANCHING.name}

    plots = _drawn(results, "drawing a plot", groups(report.rows), group_plot)
    cited = [d for d in report.distributions if any(d.cited) and d.variant in branching]
    distributions = _drawn(results, "drawing the cited rules", cited, distribution_bars)
    judged = _drawn(results, "showing a judgement", judgements, figures)
    # All that is computed for the page must come before this, so that no failure is missing here.
    failures = [text for text in results.failure_messages() if text not in report.failures]
    return _template().render(
        report=report,
        manifest=results.benchmark.manifest,
        style=packaged("report.css") + packaged("drawing.css", "harness.drawing"),
        script=script,
        script_hash=script_hash(script),
        warnings=[*warnings(report), *failures],
        scores=[row for row in ungrouped if is_headline(row)],
        others=[row for row in ungrouped if not is_headline(row)],
        plots=plots,
        # Also those of which there is only a plot.
        metrics=list(dict.fromkeys(find(row.label) for row in by_metric(report.rows))),
        branching=branching,
        distributions=distributions,
        judgements=judged,
        variants=[VARIANTS[name] for name in report.run.variants],
        gallery=gallery,
        outcomes=[name for name in OUTCOMES if any(s.outcome == name for s in gallery.samples)],
        timed=[u for u in report.usage if any(getattr(u, name) is not None for name in TIMED)],
        savings=savings(report.usage),
        total=len(results.scored),
    )


def _drawn(results: Results, what: str, items: Iterable[T], draw: Callable[[T], D]) -> list[tuple[T, D]]:
    """Each item with its drawing, without those that cannot be drawn."""
    attempts = [(item, results.attempt(what, None, partial(draw, item))) for item in items]
    return [(item, drawing) for item, drawing in attempts if drawing is not None]


def is_headline(row: ReportRow) -> bool:
    metric = find(row.label)
    return isinstance(metric, Metric) and metric.headline


def unit(row: ReportRow) -> Unit:
    return find(row.label).unit


def by_metric(rows: Iterable[ReportRow]) -> list[ReportRow]:
    """The rows in the order of the installed metrics, the variants of each metric together."""
    order = list(installed())
    rows = list(rows)
    labels = list(dict.fromkeys(row.label for row in rows))

    def place(row: ReportRow) -> tuple[int, int]:
        return order.index(row.metric) if row.metric in order else len(order), labels.index(row.label)

    return sorted(rows, key=place)


def on_scale(row: ReportRow) -> dict[str, float | None] | None:
    """Where a row's figures are on a scale from 0 to 100; None if its unit has no bounds."""
    bounds = unit(row).bounds
    if bounds is None or row.low is None or row.high is None:
        return None
    low, high = bounds

    def place(value: float | None) -> float | None:
        return None if value is None else 100 * (value - low) / (high - low)

    return {name: place(getattr(row, name)) for name in ("mean", "low", "high", "chance")}


@cache
def _template() -> Template:
    return environment().get_template("report.html")


def environment() -> Environment:
    """Templates in which every value is escaped."""
    env = Environment(
        loader=PackageLoader("harness.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    env.filters |= {
        "percent": SHARE.format,
        "tokens": TOKENS.format,
        "seconds": SECONDS.format,
        "plain": plain,
        "flat": flat,
        "with_unit": with_unit,
        "on_scale": on_scale,
        "unit": unit,
    }
    env.globals |= {"variant_index": variant_index}
    return env


def packaged(name: str, package: str = "harness.report") -> Markup:
    """A template file of a package that goes into a page unchanged."""
    return Markup((resources.files(package) / "templates" / name).read_text(encoding="utf-8"))


def script_hash(script: str) -> str:
    """What a content security policy names to allow this script."""
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def warnings(report: Report) -> Iterator[str]:
    """Warnings that a reader needs before relying on the scores."""
    rows = [row for row in report.rows if not row.group]
    of = f"of {sum(usage.requests for usage in report.usage)} responses"
    if failed := _counts(rows, "errors"):
        yield (
            f"This run is incomplete: {sum(failed.values())} {of} failed ({_each(failed)}). "
            "The means exclude them, and the intervals cover everything from all of them wrong to all of "
            f"them correct. To complete it, {retry(report.backend)}. A prompt with an unreadable image "
            "stays without a response."
        )
    if cut := _counts(rows, "truncated"):
        limit = report.run.sampling.get("max_new_tokens")
        cut_off = f"{sum(cut.values())} {of} were cut off at {limit} new tokens"
        yield f"{cut_off}, the limit of --max-new-tokens ({_each(cut)})."
    if unparsed := _counts(rows, "unparsed"):
        yield f"{sum(unparsed.values())} {of} contain no answer that could be parsed ({_each(unparsed)})."
    # The oracle responds with the gold response, and so never with nothing.
    if is_scripted(report.run.model) and report.run.model != "oracle" and _no_choices(rows):
        yield (
            f"{report.run.model} chooses from a list of possible answers, and these questions have none. So "
            "it responds with nothing, and its score says nothing about the questions."
        )
    for name, count in report.skipped.items():
        instances = count // max(1, report.run.samples)
        what = "override" if name == OVERRIDE.name else "policy to show"
        have = "instance has" if instances == 1 else "instances have"
        yield f"{instances} {have} no {what} and therefore no prompt under {name}."
    available = report.available or report.run.limit
    # A limit that is not below the number of instances left none out.
    if report.run.limit is not None and (report.available is None or report.run.limit < report.available):
        scored = f"{report.run.limit:,} of {available:,} instances"
        if report.run.sampled:
            yield f"Scored on a random sample of {scored}, the same for every model (--limit)."
        else:
            yield f"Scored on the first {scored}, as in old versions (--limit). The others may differ."
    requested = location(report.run.model)
    if report.served_models not in ((), (requested,)):
        served = ", ".join(report.served_models)
        yield f"{requested} was requested, but the server says that {served} answered."
    if changed := texts(report.backend.get(CHANGED)):
        yield f"The server rejected a part of the requests; {'; '.join(changed)}."
    yield from report.failures
    check = report.batch_check
    if check and check.differ:
        yield (
            f"{check.differ} of {check.asked} responses differ when their prompts are sent one at a time: "
            "the scores depend on the batch size."
        )


def notes_of(reports: Mapping[str, Report]) -> Iterator[str]:
    """The warnings of each run after its name. One that several runs have is given once, with their names."""
    runs: dict[str, list[str]] = {}
    for name, report in reports.items():
        for warning in warnings(report):
            runs.setdefault(warning, []).append(name)
    yield from (f"{enumeration(names)}: {warning}" for warning, names in runs.items())


def _counts(rows: Iterable[ReportRow], name: str) -> dict[str, int]:
    """Counts by variant, without zeros. Metrics count the same responses, so the largest count is used."""
    counts: dict[str, int] = {}
    for row in rows:
        counts[row.variant] = max(counts.get(row.variant, 0), getattr(row, name))
    return {variant: count for variant, count in counts.items() if count}


def _no_choices(rows: Iterable[ReportRow]) -> bool:
    """Whether no question has a list of possible answers, and therefore a score that a guess has."""
    return all(row.chance is None for row in rows if row.label == ACCURACY.name)


def _each(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{count} {variant}" for variant, count in counts.items())


def plain(value: Any) -> str:
    """A value of a configuration as a person would write it."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value if isinstance(value, str) else json.dumps(msgspec.to_builtins(value), ensure_ascii=False)


def flat(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Nested settings under dotted names, without those that have no value."""
    lines: dict[str, Any] = {}
    for name, value in mapping.items():
        if isinstance(value, Mapping):
            lines |= flat(value, f"{prefix}{name}.")
        elif value is not None:
            lines[f"{prefix}{name}"] = value
    return lines
