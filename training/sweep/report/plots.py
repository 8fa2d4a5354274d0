"""The plots of a sweep, as SVG files on white: methods side by side, and lines over a number."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from itertools import cycle

from harness.report.plots import STANDALONE, Drawing, Point, drawing, points
from training.sweep.report.results import Spread

GREY = "#6b6b6b"
DASHES = "dashed", "dotted", "dashdot"
# Up to so many numbers on an axis are each labeled, and so many points of a line each have an interval.
MARKS = 10


@dataclass(frozen=True, slots=True)
class Row:
    """A method: its spreads by series, and what the paper reports of it, in percent."""

    label: str
    spreads: Mapping[str, Spread]
    reported: float | None


def methods(rows: Sequence[Row], references: Mapping[str, float]) -> bytes:
    """Points with intervals, one line a method; references are dashed lines across all."""
    names = list(dict.fromkeys(name for row in rows for name in row.spreads))
    with drawing((7.6, 1.5 + 0.42 * len(rows)), "results", STANDALONE, grid="x") as plot:
        axes = plot.axes
        for index, name in enumerate(names):
            nudge = 0.6 * (index - (len(names) - 1) / 2) / max(1, len(names))
            known = [
                (place + nudge, row.spreads[name]) for place, row in enumerate(rows) if name in row.spreads
            ]
            places, values = [y for y, _ in known], [_point(s) for _, s in known]
            points(plot, index, places, values, upright=False, label=name)
        told = [(place, row.reported) for place, row in enumerate(rows) if row.reported is not None]
        if told:
            label = "the paper, internalized (7B, N=6)"
            axes.plot([x for _, x in told], [y for y, _ in told], "x", color=GREY, markersize=6, label=label)
        for (name, value), dashes in zip(references.items(), cycle(DASHES)):
            axes.axvline(100 * value, color=GREY, linestyle=dashes, linewidth=1, label=name)
        axes.set(xlim=(-2, 102), ylim=(len(rows) - 0.4, -0.6), xlabel="accuracy (%)")
        axes.set_yticks(range(len(rows)), [row.label for row in rows])
        _legend(plot)
    return plot.svg


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
    marks = sorted({x for values in series.values() for x in values})
    with drawing((7.2, 4), "results", STANDALONE) as plot:
        axes = plot.axes
        for name, dashes in zip((name for name in series if name in levels), cycle(DASHES)):
            xs = sorted(series[name])
            means = [100 * series[name][x].mean for x in xs]
            axes.plot(xs, means, color=GREY, linestyle=dashes, linewidth=1, label=name)
        lines = {name: values for name, values in series.items() if name not in levels}
        for index, (name, values) in enumerate(lines.items()):
            nudge = 0.02 * (index - (len(lines) - 1) / 2)
            xs = sorted(values)
            places = [x * 2**nudge if logarithmic else x + 2 * nudge for x in xs]
            shown, room = [_point(values[x]) for x in xs], len(xs) <= MARKS
            points(plot, index, places, shown, upright=True, label=name, joined=True, intervals=room)
        if logarithmic:
            axes.set_xscale("log", base=2)
        if len(marks) <= MARKS:
            axes.set_xticks(marks, [str(mark) for mark in marks])
        axes.minorticks_off()
        axes.set(ylim=(-3, 103), xlabel=across, ylabel=upward)
        _legend(plot)
    return plot.svg


def _point(spread: Spread) -> Point:
    """In percent; an interval is drawn as far as the scale goes."""
    return 100 * spread.mean, 100 * max(0.0, spread.low), 100 * min(1.0, spread.high)


def _legend(plot: Drawing) -> None:
    longest = max(map(len, plot.axes.get_legend_handles_labels()[1]), default=0)
    columns = 3 if longest <= 28 else 2
    plot.figure.legend(loc="outside upper center", ncols=columns, frameon=False, fontsize=9)
