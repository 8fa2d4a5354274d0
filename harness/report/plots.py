"""Scores by group as inline SVG: points with 95 % intervals, one colour and one marker for each variant."""

from __future__ import annotations

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from harness.records import Distribution, ReportRow, Usage
from harness.variants import VARIANTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK = "#010203"
COLOURS = ("#a1b2c0", "#a1b2c1", "#a1b2c2", "#a1b2c3")
"""Stand-ins: the page's style sheet gives them their colours, one set for light and one for dark."""
MARKERS = ("o", "s", "^", "D")
FAULTS = "faults"
"""The metric whose rows are drawn as bars (bars.py)."""
STYLE = {
    "axes.edgecolor": INK,
    "axes.labelcolor": INK,
    "font.size": 12,
    "svg.fonttype": "none",
    "text.color": INK,
    # A member's name is data: "$" in it is no formula.
    "text.parse_math": False,
    "xtick.color": INK,
    "ytick.color": INK,
}


@dataclass(frozen=True, slots=True)
class Plot:
    """One metric split by one group: a picture, and the rows that it was drawn from."""

    metric: str
    group: str
    rows: Sequence[ReportRow]
    svg: Markup


def group_plots(rows: Sequence[ReportRow]) -> list[Plot]:
    """A plot for each metric and group that the rows are split by, members in natural order."""
    found: dict[tuple[str, str], list[ReportRow]] = {}
    for row in rows:
        if row.group and row.metric != FAULTS:
            found.setdefault((row.metric, row.group), []).append(row)
    plots = []
    for (metric, group), members in found.items():
        members.sort(key=lambda row: (natural(row.member), variant_index(row)))
        plots.append(Plot(metric, group, members, _draw(metric, group, members)))
    return plots


def variant_index(row: ReportRow | Distribution | Usage) -> int:
    """Which of the colours a variant has, the same in every report."""
    return list(VARIANTS).index(row.variant) % len(COLOURS)


def natural(text: str) -> list[tuple[int, int, str]]:
    """A sort key under which "leaf 10" follows "leaf 9"; of any number of digits, which int refuses."""
    pieces = [(p, p.lstrip("0")) for p in re.split(r"([0-9]+)", text) if p]
    return [(0, len(digits), digits) if p[0] in "0123456789" else (1, 0, p) for p, digits in pieces]


def _draw(metric: str, group: str, rows: Sequence[ReportRow]) -> Markup:
    # Matplotlib takes most of a second to import, and most commands draw nothing.
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    members = list(dict.fromkeys(row.member for row in rows))
    upright = all(len(member) <= 4 for member in members)
    size = (6.4, 3.5) if upright else (6.4, 1.2 + 0.45 * len(members))
    settings: dict[Any, Any] = {**STYLE, "svg.hashsalt": f"{metric}/{group}"}
    with rc_context(settings):
        figure = Figure(figsize=size, layout="constrained")
        axes = figure.subplots()
        _points(axes, rows, members, upright)
        _frame(axes, members, upright, f"{metric} (%)", group)
        return svg(figure)


def svg(figure: Figure) -> Markup:
    """A figure as a piece of an HTML page; within the rc_context that it was drawn in."""
    file = io.StringIO()
    metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
    figure.savefig(file, format="svg", transparent=True, metadata=metadata)
    return Markup(_inline(file.getvalue()))


def _points(axes: Axes, rows: Sequence[ReportRow], members: Sequence[str], upright: bool) -> None:
    """Each variant beside the others in its member's slot, a dash at chance across the slot."""
    names = list(dict.fromkeys(row.variant for row in sorted(rows, key=variant_index)))
    for row in rows:
        index = variant_index(row)
        nudge = (names.index(row.variant) - (len(names) - 1) / 2) / len(names)
        place = members.index(row.member) + 0.75 * nudge
        if row.chance is not None:
            lines = axes.hlines if upright else axes.vlines
            middle, half = members.index(row.member) + nudge, 0.5 / len(names)
            lines(100 * row.chance, middle - half, middle + half, INK, "dashed", linewidth=1)
        if row.mean is None or row.low is None or row.high is None:
            continue
        score = 100 * row.mean
        reach = [[100 * max(0.0, row.mean - row.low)], [100 * max(0.0, row.high - row.mean)]]
        upward, across = {"x": place, "y": score, "yerr": reach}, {"x": score, "y": place, "xerr": reach}
        at: dict[str, Any] = upward if upright else across
        axes.errorbar(**at, fmt=MARKERS[index], color=COLOURS[index], capsize=3, elinewidth=1.6, markersize=6)


def _frame(axes: Axes, members: Sequence[str], upright: bool, score: str, group: str) -> None:
    places, names, group = range(len(members)), [short(member) for member in members], short(group)
    if upright:
        axes.set(ylim=(-3, 103), xlim=(-0.6, len(members) - 0.4), xlabel=group, ylabel=score)
        axes.set_xticks(places, names)
    else:
        axes.set(xlim=(-3, 103), ylim=(len(members) - 0.4, -0.6), xlabel=score, ylabel=group)
        axes.set_yticks(places, names)
    axes.grid(axis="y" if upright else "x", color=INK, alpha=0.15)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)


def short(name: str, most: int = 28) -> str:
    """A name that leaves room for the points; the table below the plot has it whole."""
    return name if len(name) <= most else f"{name[: most - 1]}…"


def _inline(svg: str) -> str:
    """Matplotlib's file as a piece of an HTML page: no prologue, no ids of its own, the page's colours."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    tag, end, rest = svg.partition(">")
    svg = re.sub(r' (xmlns(:xlink)?|version)="[^"]*"', "", tag) + end + rest
    svg = re.sub(r'<g id="[^"]*">', "<g>", svg)
    svg = svg.replace(INK, "currentColor")
    for index, colour in enumerate(COLOURS):
        svg = svg.replace(colour, f"var(--variant-{index})")
    return svg
