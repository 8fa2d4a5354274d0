"""A comparison as a table for the terminal, as Markdown, and as one HTML page that needs no network.

Names come from other people's runs, so all of them are escaped.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Template
from markupsafe import Markup

from harness.compare.differences import Comparison, Difference
from harness.errors import UserError
from harness.files import store
from harness.metrics.metric import DASH, Unit, find, with_unit
from harness.report.page import environment, packaged
from harness.report.plots import INLINE, MARKERS, Drawing, drawing
from harness.report.text import escape_markdown, fitting_table, left_out_note, markdown_table
from harness.text import enumeration, printable, short

# How many incomplete instances the terminal lists; compare.json and the page list all.
NAMED = 5
TEXTS = ("benchmark", "variant", "metric", "tuned run")
# How to read the figures.
METHOD = (
    "Differences of shares are in percentage points. p is from a sign-flip test, which is McNemar's exact "
    "test if all values are 0 or 1. This test and the 95 % interval account for questions that share images "
    "or a policy. A difference is marked if its interval excludes zero, which requires that p is at most "
    "0.05. Without any true difference, at most one row in twenty is marked by chance."
)
HEAD = (*TEXTS, "base", "tuned", "difference", "95 % interval", "p", "n", "incomplete", "")
# The columns that a terminal shows even if it is too narrow for them, with each text that differs.
MAIN = "variant", "metric", "difference", "95 % interval", ""


@dataclass(frozen=True, slots=True)
class Forest:
    """One metric's differences: a picture, and the differences that it was drawn from."""

    metric: str
    differences: Sequence[Difference]
    svg: Markup


def write_comparison(comparison: Comparison, out: Path) -> None:
    """Writes compare.json, compare.md and compare.html into a new folder, or one of an earlier comparison."""
    if out.is_dir() and not store.is_empty(out) and not (out / "compare.json").is_file():
        raise UserError(
            f"out: expected a new folder, or one of an earlier comparison, got {out}; name another"
        )
    with store.writing(out):
        out.mkdir(parents=True, exist_ok=True)
    store.write_json(out / "compare.json", comparison)
    store.write(out / "compare.md", markdown(comparison).encode())
    store.write(out / "compare.html", render(comparison).encode())


def label(difference: Difference) -> str:
    """The benchmark, with its split and limit unless these are the whole test split."""
    split = f" {difference.split}" if difference.split != "test" else ""
    which = "sample of" if difference.sampled else "first"
    limit = f", {which} {difference.limit}" if difference.limit is not None else ""
    return printable(f"{difference.benchmark}{split}{limit}")


def format_p(p: float | None) -> str:
    return DASH if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def metric_title(difference: Difference) -> str:
    return printable(with_unit(difference.metric))


def unit(difference: Difference) -> Unit:
    return find(difference.metric).unit


def _interval(d: Difference) -> str:
    if d.low is None or d.high is None:
        return DASH
    return f"{unit(d).change(d.low)} to {unit(d).change(d.high)}"


def _cells(d: Difference) -> tuple[str, ...]:
    """One line of the table; its last cell is the mark."""
    shown = unit(d)
    means = shown.format(d.base_mean), shown.format(d.tuned_mean), shown.change(d.difference)
    counts = str(d.n), str(len(d.incomplete))
    return (
        label(d),
        d.variant,
        metric_title(d),
        d.argument,
        *means,
        _interval(d),
        format_p(d.p),
        *counts,
        d.mark,
    )


def table(comparison: Comparison, width: int | None = None) -> str:
    """For the terminal; differences of shares are in percentage points.

    With a width in characters, it has as many columns as fit, and names the others.
    """
    rows = [_cells(d) for d in comparison.differences]
    # A text that is the same in all rows does not distinguish them.
    columns = zip(*rows, strict=True)
    differing = {name for name, column in zip(TEXTS, columns, strict=False) if len({*column}) > 1}
    main = {*MAIN} | differing
    shown, left_out = fitting_table(HEAD, rows, len(TEXTS), width, main, ("base", "tuned", "p", "n"))
    return "\n".join([shown, *([left_out_note(left_out)] if left_out else []), *notes(comparison, NAMED)])


def notes(comparison: Comparison, named: int | None) -> Iterator[str]:
    """Warnings about the differences, each with the names of at most `named` instances."""
    for same in incomplete(comparison):
        missing = same[0].incomplete
        names = ", ".join(map(printable, missing[:named]))
        names += f" and {len(missing[named:])} more" if named and missing[named:] else ""
        what = f"{described(same)}, {printable(same[0].argument)}"
        yield f"{what}: {without_value(len(missing))}: {names}."
    yield from map(printable, comparison.warnings)
    for u in comparison.unmatched:
        yield f"Not compared: {printable(u.run)}: {printable(u.reason)}."


def incomplete(comparison: Comparison) -> list[list[Difference]]:
    """The differences with incomplete instances; those of several metrics with the same ones together."""
    same: dict[tuple[object, ...], list[Difference]] = {}
    for d in comparison.differences:
        if d.incomplete:
            same.setdefault((label(d), d.variant, d.argument, d.incomplete), []).append(d)
    return list(same.values())


def without_value(count: int) -> str:
    """What to know of so many instances without a value."""
    return (
        f"{count} {'instance is' if count == 1 else 'instances are'} missing, failed or unscored on at least "
        "one side; the means exclude what has no value, and the interval covers every value it could have"
    )


def described(same: Sequence[Difference]) -> str:
    """The benchmark and the variant of differences of several metrics, and the metrics."""
    first, metrics = same[0], [printable(d.metric) for d in same]
    return f"{label(first)}, {printable(first.variant)}, {enumeration(metrics)}"


def markdown(comparison: Comparison) -> str:
    rows = [_cells(d) for d in comparison.differences]
    lines = [
        f"# From {escape_markdown(printable(comparison.base))}\n",
        markdown_table(HEAD, rows, len(TEXTS)),
        f"\n{METHOD}",
    ]
    listed = [f"- {escape_markdown(note)}" for note in notes(comparison, named=None)]
    return "\n".join([*lines, *([""] if listed else []), *listed]) + "\n"


FILTERS: Mapping[str, Any] = {
    "p": format_p,
    "label": label,
    "printable": printable,
    "metric_title": metric_title,
    "interval": _interval,
    "unit": unit,
}


def render(comparison: Comparison) -> str:
    """The page; each tuned model has a color and a marker."""
    metrics = dict.fromkeys(d.metric for d in comparison.differences)
    return _template().render(
        comparison=comparison,
        method=METHOD,
        style=packaged("report.css"),
        forests=[_forest(comparison, metric) for metric in metrics],
        index=lambda argument: comparison.tuned.index(argument) % len(INLINE.colors),
        several=len(comparison.tuned) > 1,
        incomplete=[(described(same), same[0]) for same in incomplete(comparison)],
        without_value=without_value,
    )


@cache
def _template() -> Template:
    jinja = environment()
    jinja.filters |= FILTERS
    return jinja.get_template("compare.html")


def _forest(comparison: Comparison, metric: str) -> Forest:
    """One line per benchmark and variant, with a point and an interval for each tuned model."""
    shown = [d for d in comparison.differences if d.metric == metric]
    slots = list(dict.fromkeys(map(_slot, shown)))
    models, scale = comparison.tuned, find(metric).unit.scale
    # The names are above the intervals and not beside them, so that the plot is legible on a phone.
    height = 1 + (0.4 + 0.17 * len(models)) * len(slots)
    with drawing((6.4, height), metric, grid="x") as plot:
        axes, ink = plot.axes, plot.style.ink
        for d in shown:
            model = models.index(d.argument)
            offset = 0.17 + (model - (len(models) - 1) / 2) * 0.44 / len(models)
            _point(plot, d, slots.index(_slot(d)) + offset, model % len(INLINE.colors), scale)
        edges = [edge for d in shown for edge in (d.low, d.difference, d.high) if edge is not None]
        reach = 1.08 * scale * max(map(abs, edges)) or 1.0
        axes.axvline(0, color=ink, linewidth=1)
        axes.set(
            xlim=(-reach, reach),
            ylim=(len(slots) - 0.5, -0.5),
            xlabel=f"difference of {metric_title(shown[0])}",
        )
        axes.set_yticks([])
        for place, slot in enumerate(slots):
            axes.text(-reach, place - 0.45, short(slot, 52), va="top", fontsize=10)
        axes.hlines([k - 0.5 for k in range(1, len(slots))], -reach, reach, ink, linewidth=0.6, alpha=0.15)
        axes.spines["left"].set_visible(False)
    return Forest(metric, shown, plot.inline)


def _slot(d: Difference) -> str:
    return f"{label(d)}, {printable(d.variant)}"


def _point(plot: Drawing, d: Difference, place: float, index: int, scale: float) -> None:
    """A mean and its interval if there is one, filled if the interval excludes zero."""
    color = plot.style.colors[index]
    if d.low is not None and d.high is not None:
        ends = [scale * d.low, scale * d.high]
        plot.axes.plot(ends, [place, place], color=color, linewidth=1.8, solid_capstyle="butt")
    if d.difference is not None:
        fill = color if d.mark else "none"
        mean = scale * d.difference
        plot.axes.plot(mean, place, MARKERS[index], color=color, markerfacecolor=fill, markersize=7)
