"""A sweep's plots as SVG files that stand alone, on white: methods side by side, and lines over a number."""

from __future__ import annotations

import io
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle
from typing import TYPE_CHECKING, Any

from harness.report.plots import MARKERS, STYLE
from training.sweep.report.results import Spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#000000", "#882255")
"""Told apart by everyone (Okabe and Ito; the last one Tol), the yellow darkened to be read on white."""
GREY = "#6b6b6b"
DASHES = "dashed", "dotted", "dashdot"
MARKS = 10
"""Numbers on an axis that are each named, and points of a line that each have an interval."""
SETTINGS: dict[Any, Any] = {
    **STYLE,
    **dict.fromkeys(
        ("axes.edgecolor", "axes.labelcolor", "text.color", "xtick.color", "ytick.color"), "#222222"
    ),
    "font.size": 10,
    "font.family": "sans-serif",
    "svg.hashsalt": "results",
}


@dataclass(frozen=True, slots=True)
class Row:
    """A method: its spreads by series, and what the paper reports of it, in percent."""

    label: str
    spreads: Mapping[str, Spread]
    reported: float | None


def methods(rows: Sequence[Row], references: Mapping[str, float]) -> bytes:
    """Points with intervals, one line a method; references are dashed lines across all."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    names = list(dict.fromkeys(name for row in rows for name in row.spreads))
    with rc_context(SETTINGS):
        figure = Figure(figsize=(7.6, 1.5 + 0.42 * len(rows)), layout="constrained")
        axes = figure.subplots()
        for index, name in enumerate(names):
            nudge = 0.6 * (index - (len(names) - 1) / 2) / max(1, len(names))
            known = [
                (place + nudge, row.spreads[name]) for place, row in enumerate(rows) if name in row.spreads
            ]
            _points(axes, [s for _, s in known], [y for y, _ in known], index, name, upright=False)
        told = [(place, row.reported) for place, row in enumerate(rows) if row.reported is not None]
        if told:
            label = "the paper, internalized (7B, N=6)"
            axes.plot([x for _, x in told], [y for y, _ in told], "x", color=GREY, markersize=6, label=label)
        for (name, value), dashes in zip(references.items(), cycle(DASHES)):
            axes.axvline(100 * value, color=GREY, linestyle=dashes, linewidth=1, label=name)
        axes.set(xlim=(-2, 102), ylim=(len(rows) - 0.4, -0.6), xlabel="accuracy (%)")
        axes.set_yticks(range(len(rows)), [row.label for row in rows])
        return _finished(figure, axes, "x")


def over(
    across: str,
    upward: str,
    series: Mapping[str, Mapping[int, Spread]],
    levels: Collection[str] = (),
    logarithmic: bool = False,
) -> bytes:
    """Lines over a number: shares, in percent, with intervals where there is room for them.

    Levels are the series to hold the others against: grey, and without intervals.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    marks = sorted({x for points in series.values() for x in points})
    with rc_context(SETTINGS):
        figure = Figure(figsize=(7.2, 4), layout="constrained")
        axes = figure.subplots()
        for name, dashes in zip((name for name in series if name in levels), cycle(DASHES)):
            xs = sorted(series[name])
            means = [100 * series[name][x].mean for x in xs]
            axes.plot(xs, means, color=GREY, linestyle=dashes, linewidth=1, label=name)
        lines = {name: points for name, points in series.items() if name not in levels}
        for index, (name, points) in enumerate(lines.items()):
            nudge = 0.02 * (index - (len(lines) - 1) / 2)
            xs = sorted(points)
            places = [x * 2**nudge if logarithmic else x + 2 * nudge for x in xs]
            _points(axes, [points[x] for x in xs], places, index, name, upright=True)
        if logarithmic:
            axes.set_xscale("log", base=2)
        if len(marks) <= MARKS:
            axes.set_xticks(marks, [str(mark) for mark in marks])
        axes.minorticks_off()
        axes.set(ylim=(-3, 103), xlabel=across, ylabel=upward)
        return _finished(figure, axes, "y")


def _points(
    axes: Axes, spreads: Sequence[Spread], places: Sequence[float], index: int, name: str, upright: bool
) -> None:
    """In percent; an interval is drawn as far as the scale goes."""
    means = [100 * s.mean for s in spreads]
    reach = [
        [100 * (s.mean - max(0.0, s.low)) for s in spreads],
        [100 * (min(1.0, s.high) - s.mean) for s in spreads],
    ]
    colour, marker = COLOURS[index % len(COLOURS)], MARKERS[index % len(MARKERS)]
    at: dict[str, Any] = {"x": places, "y": means} if upright else {"x": means, "y": places}
    if not upright or len(means) <= MARKS:
        at["yerr" if upright else "xerr"] = reach
    line = "-" if upright else ""
    axes.errorbar(
        **at, fmt=f"{marker}{line}", color=colour, capsize=2.5, elinewidth=1, markersize=5, label=name
    )


def _finished(figure: Figure, axes: Axes, along: str) -> bytes:
    axes.grid(axis=along, color="#222222", alpha=0.15)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    longest = max(map(len, axes.get_legend_handles_labels()[1]), default=0)
    figure.legend(loc="outside upper center", ncols=3 if longest <= 28 else 2, frameon=False, fontsize=9)
    file = io.BytesIO()
    figure.savefig(file, format="svg", facecolor="white", metadata={"Date": None, "Creator": None})
    return file.getvalue()
