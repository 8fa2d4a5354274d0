"""The plots of a sweep, as SVG files on white: one with a row for each method, one with a line for each."""

from collections.abc import Collection, Mapping, Sequence
from itertools import cycle
from statistics import fmean
from typing import NamedTuple

from harness.report.plots import STANDALONE, Drawing, Point, drawing, points
from training.sweep.report.results import Curve, MethodRow, SeedMean
from training.sweep.report.tables import DEPTH, MODEL, VARIANTS

GREY = "#6b6b6b"
DASHES = "dashed", "dotted", "dashdot"
# With more numbers than this on the x axis, not every number has a label, and points have no intervals.
MAX_LABELS = 10


# Curves are means over this many updates.
SMOOTHED = 5


class TeacherPoint(NamedTuple):
    """The teacher's accuracy in context, and the student's by kind of question, "covered" or "uncovered"."""

    teacher: float
    by_kind: Mapping[str, SeedMean]


class PlotFile(NamedTuple):
    name: str
    description: str
    svg: bytes


def plot_methods(
    rows: Mapping[str, MethodRow], paper: Mapping[str, float], references: Mapping[str, float]
) -> bytes:
    """Accuracy under each variant with intervals, a row for each method.

    `rows` are by label, `paper` is in percent by recipe. The references are shares, drawn as vertical lines.
    """
    columns = [column for column in VARIANTS if any(row.mean(column.key) for row in rows.values())]
    with drawing((7.6, 1.5 + 0.42 * len(rows)), "results", STANDALONE, grid="x") as plot:
        axes = plot.axes
        for index, column in enumerate(columns):
            # The variants of a method are next to each other, within 0.6 of the height of its row.
            offset = 0.6 * (index - (len(columns) - 1) / 2) / len(columns)
            means = {y: mean for y, row in enumerate(rows.values()) if (mean := row.mean(column.key))}
            values = [_percent(mean) for mean in means.values()]
            points(plot, index, [y + offset for y in means], values, upright=False, label=column.head)
        reported = [(y, row.cell.recipe) for y, row in enumerate(rows.values()) if row.cell.recipe in paper]
        if reported:
            ys, scores = [y for y, _ in reported], [paper[recipe] for _, recipe in reported]
            label = f"the paper, internalized ({MODEL}, N={DEPTH})"
            axes.plot(scores, ys, "x", color=GREY, markersize=6, label=label)
        for (name, value), dashes in zip(references.items(), cycle(DASHES)):
            axes.axvline(100 * value, color=GREY, linestyle=dashes, linewidth=1, label=name)
        axes.set(xlim=(-2, 102), ylim=(len(rows) - 0.4, -0.6), xlabel="accuracy (%)")
        axes.set_yticks(range(len(rows)), list(rows))
        _legend(plot)
    return plot.svg


def plot_lines(
    xlabel: str,
    ylabel: str,
    lines: Mapping[str, Mapping[int, SeedMean]],
    references: Collection[str] = (),
    logarithmic: bool = False,
) -> bytes:
    """Lines of shares, in percent, over a number.

    References are the names of lines to compare with: they are grey and have no intervals.
    """
    numbers = sorted({x for line in lines.values() for x in line})
    with drawing((7.2, 4), "results", STANDALONE) as plot:
        axes = plot.axes
        for name, dashes in zip((name for name in lines if name in references), cycle(DASHES)):
            xs = sorted(lines[name])
            means = [100 * lines[name][x].mean for x in xs]
            axes.plot(xs, means, color=GREY, linestyle=dashes, linewidth=1, label=name)
        compared = [name for name in lines if name not in references]
        for index, name in enumerate(compared):
            # Moves each line a little to the side, so that intervals do not cover each other.
            offset = 0.02 * (index - (len(compared) - 1) / 2)
            xs = sorted(lines[name])
            places = [x * 2**offset if logarithmic else x + 2 * offset for x in xs]
            values = [_percent(lines[name][x]) for x in xs]
            few = len(xs) <= MAX_LABELS
            points(plot, index, places, values, upright=True, label=name, joined=True, intervals=few)
        if logarithmic:
            axes.set_xscale("log", base=2)
        if len(numbers) <= MAX_LABELS:
            axes.set_xticks(numbers, [str(number) for number in numbers])
        axes.minorticks_off()
        axes.set(ylim=(-3, 103), xlabel=xlabel, ylabel=ylabel)
        _legend(plot)
    return plot.svg


def plot_teachers(lines: Mapping[str, Sequence[TeacherPoint]]) -> bytes:
    """Internalized accuracy over the teacher's accuracy in context, a line for each method.

    The panels are the covered and the uncovered questions. On the dotted line, a student equals its teacher.
    """
    with drawing((8.4, 4.4), "results", STANDALONE, grid="both", panels=2) as plot:
        for panel, kind in zip(plot.panels, ("covered", "uncovered"), strict=True):
            plot.axes = panel
            panel.plot((0, 100), (0, 100), ":", color=GREY, linewidth=1, label="equal to its teacher")
            for index, (name, line) in enumerate(lines.items()):
                # Moves each line a little to the side, so that intervals do not cover each other.
                offset = 0.9 * (index - (len(lines) - 1) / 2)
                drawn = [point for point in line if kind in point.by_kind]
                places = [100 * point.teacher + offset for point in drawn]
                values = [_percent(point.by_kind[kind]) for point in drawn]
                points(plot, index, places, values, upright=True, label=name, joined=True)
            panel.set(xlim=(-3, 103), ylim=(-3, 103), xticks=range(0, 101, 20), yticks=range(0, 101, 20))
            panel.set_title(f"{kind} answers", fontsize=10)
        plot.panels[0].set_ylabel("internalized accuracy (%)")
        plot.figure.supxlabel("accuracy of the teacher with the policy in its prompt (%)", fontsize=10)
        _legend(plot)
    return plot.svg


def plot_curves(curves: Mapping[str, Curve], ylabel: str) -> bytes:
    """A share over updates and over seconds of training, a line for each method."""
    with drawing((8.4, 4), "results", STANDALONE, panels=2) as plot:
        for index, (name, curve) in enumerate(curves.items()):
            color = plot.style.colors[index % len(plot.style.colors)]
            ys = [100 * y for y in _smooth([point.mean.mean for point in curve])]
            for panel, axis in zip(plot.panels, ("update", "seconds"), strict=True):
                panel.plot(
                    [getattr(point, axis) for point in curve], ys, color=color, linewidth=1.6, label=name
                )
        plot.panels[0].set(ylim=(-3, 103), xlabel="update", ylabel=ylabel)
        plot.panels[1].set(xlabel="seconds of training, all stages")
        for panel in plot.panels:
            panel.set_xlim(left=0)
        _legend(plot)
    return plot.svg


def _smooth(values: Sequence[float]) -> list[float]:
    """Means over a window of SMOOTHED values around each, fewer at both ends."""
    reach = SMOOTHED // 2
    return [fmean(values[max(0, i - reach) : i + reach + 1]) for i in range(len(values))]


def _percent(mean: SeedMean) -> Point:
    """The part of the interval between 0 and 100 %."""
    return 100 * mean.mean, 100 * max(0.0, mean.low), 100 * min(1.0, mean.high)


def _legend(plot: Drawing) -> None:
    """Above the plot. All panels have the same lines."""
    handles, labels = plot.panels[0].get_legend_handles_labels()
    columns = 3 if max(map(len, labels), default=0) <= 28 else 2
    plot.figure.legend(handles, labels, loc="outside upper center", ncols=columns, frameon=False, fontsize=9)
