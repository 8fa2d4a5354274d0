"""A comparison to read: as a table for the terminal, as Markdown, and as one HTML page that needs no network.

Names come from other people's runs: all are escaped, wherever they are shown.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from harness.compare.pairs import Comparison, Difference
from harness.files import store
from harness.report.page import environment, ours, percent
from harness.report.plots import COLOURS, INK, MARKERS, STYLE, svg

if TYPE_CHECKING:
    from matplotlib.axes import Axes

NAMED = 5
"""Incomplete instances that the terminal names; compare.json and the page name all."""
TEXTS = ("benchmark", "variant", "metric", "tuned run")
FIGURES = ("base, %", "tuned, %", "difference", "95 % interval", "p", "n", "incomplete")


@dataclass(frozen=True, slots=True)
class Forest:
    """One metric's differences: a picture, and the differences that it was drawn from."""

    metric: str
    differences: Sequence[Difference]
    svg: Markup


def write_comparison(comparison: Comparison, out: Path) -> None:
    """compare.json, compare.md and compare.html in a folder, which is made."""
    with store.writing(out):
        out.mkdir(parents=True, exist_ok=True)
    store.write_json(out / "compare.json", comparison)
    store.write(out / "compare.md", markdown(comparison).encode())
    store.write(out / "compare.html", render(comparison).encode())


def label(difference: Difference) -> str:
    """The benchmark, and what of it was asked where that is not the whole test split."""
    split = f" {difference.split}" if difference.split != "test" else ""
    limit = f", first {difference.limit}" if difference.limit is not None else ""
    return printable(f"{difference.benchmark}{split}{limit}")


def printable(text: str) -> str:
    """A name without what steers a terminal or breaks a line."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in text)


def signed(value: float | None) -> str:
    """In percentage points; a zero has no sign."""
    if value is None:
        return "–"
    points = round(100 * value, 1)
    return f"{points:+.1f}" if points else "0.0"


def chance(p: float | None) -> str:
    return "–" if p is None else "<0.001" if p < 0.001 else f"{p:.3f}"


def _cells(d: Difference) -> tuple[str, ...]:
    """One line of the table; its last cell is the mark."""
    texts = (label(d), printable(d.variant), printable(d.metric), printable(d.argument))
    interval = f"{signed(d.low)} to {signed(d.high)}"
    figures = (percent(d.base_mean), percent(d.tuned_mean), signed(d.difference), interval, chance(d.p))
    return (*texts, *figures, str(d.n), str(len(d.incomplete)), d.mark)


def table(comparison: Comparison) -> str:
    """For the terminal; differences are in percentage points."""
    lines = [(*TEXTS, *FIGURES, ""), *map(_cells, comparison.differences)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(lines[0]))]
    pads = [str.ljust] * len(TEXTS) + [str.rjust] * len(FIGURES) + [str.ljust]
    rows = (
        "  ".join(pad(cell, width) for pad, cell, width in zip(pads, line, widths, strict=True)).rstrip()
        for line in lines
    )
    return "\n".join([*rows, *notes(comparison, NAMED)])


def notes(comparison: Comparison, named: int | None) -> Iterator[str]:
    """What a reader must know before believing the differences; None names every instance."""
    for d in comparison.differences:
        if d.incomplete:
            names = ", ".join(map(printable, d.incomplete[:named]))
            names += f" and {len(d.incomplete[named:])} more" if named and d.incomplete[named:] else ""
            yield (
                f"{label(d)}, {printable(d.variant)}, {printable(d.metric)}, {printable(d.argument)}: "
                f"{len(d.incomplete)} instances are missing, failed or unscored on one side at least, and "
                f"the interval reaches over all that they could be: {names}."
            )
    yield from map(printable, comparison.warnings)
    for u in comparison.unmatched:
        yield f"Not compared: {printable(u.run)}: {printable(u.reason)}."


def markdown(comparison: Comparison) -> str:
    def escaped(text: str) -> str:
        return re.sub(r"[\\`*\[\]<>|!&~]", r"\\\g<0>", text)

    heads = (*TEXTS, *FIGURES, "")
    aligned = ["---"] * len(TEXTS) + ["---:"] * len(FIGURES) + ["---"]
    rows = [heads, aligned, *(tuple(map(escaped, _cells(d))) for d in comparison.differences)]
    lines = [f"| {' | '.join(row)} |" for row in rows]
    title = f"# From {escaped(printable(comparison.base))}\n"
    about = f"""
Differences in percentage points; 95 % by bootstrap over instances, {comparison.resamples} resamples; marked
where the interval leaves out zero."""
    said = [f"- {escaped(note)}" for note in notes(comparison, named=None)]
    return "\n".join([title, *lines, about, *([""] if said else []), *said]) + "\n"


def render(comparison: Comparison) -> str:
    """The page; each tuned model has a colour and a marker."""
    made = environment()
    made.filters |= {"signed": signed, "p": chance, "label": label, "printable": printable}
    metrics = dict.fromkeys(d.metric for d in comparison.differences)
    return made.get_template("compare.html").render(
        comparison=comparison,
        style=ours("report.css"),
        forests=[_forest(comparison, metric) for metric in metrics],
        index=lambda argument: comparison.tuned.index(argument) % len(COLOURS),
        several=len(comparison.tuned) > 1,
        incomplete=[d for d in comparison.differences if d.incomplete],
    )


def _forest(comparison: Comparison, metric: str) -> Forest:
    # Matplotlib takes most of a second to import, and the terminal's table needs none of it.
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    shown = [d for d in comparison.differences if d.metric == metric]
    slots = list(dict.fromkeys(map(_slot, shown)))
    settings: dict[Any, Any] = {**STYLE, "svg.hashsalt": metric}
    with rc_context(settings):
        height = 1 + (0.2 + 0.17 * len(comparison.tuned)) * len(slots)
        figure = Figure(figsize=(9.6, height), layout="constrained")
        axes = figure.subplots()
        for d in shown:
            tuned = comparison.tuned.index(d.argument)
            nudge = (tuned - (len(comparison.tuned) - 1) / 2) * 0.64 / len(comparison.tuned)
            _point(axes, d, slots.index(_slot(d)) + nudge, tuned % len(COLOURS))
        edges = [-1.0, 1.0, *(100 * edge for d in shown for edge in (d.low, d.high))]
        margin = 0.04 * (max(edges) - min(edges))
        axes.axvline(0, color=INK, linewidth=1)
        axes.set(
            xlim=(min(edges) - margin, max(edges) + margin),
            ylim=(len(slots) - 0.5, -0.5),
            xlabel="difference, percentage points",
        )
        axes.set_yticks(range(len(slots)), [s if len(s) <= 44 else f"{s[:43]}…" for s in slots])
        axes.grid(axis="x", color=INK, alpha=0.15)
        axes.hlines([k - 0.5 for k in range(1, len(slots))], *axes.get_xlim(), INK, linewidth=0.6, alpha=0.15)
        axes.set_axisbelow(True)
        axes.spines[["top", "right", "left"]].set_visible(False)
        axes.tick_params(axis="y", length=0)
        return Forest(metric, shown, svg(figure))


def _slot(d: Difference) -> str:
    return f"{label(d)}, {printable(d.variant)}"


def _point(axes: Axes, d: Difference, place: float, index: int) -> None:
    """An interval, and its mean filled where the interval leaves out zero."""
    colour = COLOURS[index]
    axes.plot([100 * d.low, 100 * d.high], [place, place], color=colour, linewidth=1.8, solid_capstyle="butt")
    if d.difference is not None:
        fill = colour if d.mark else "none"
        axes.plot(100 * d.difference, place, MARKERS[index], color=colour, markerfacecolor=fill, markersize=7)
