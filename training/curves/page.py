"""Curves of one run, or of several in the same plots, as one HTML file that needs no network."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from functools import cache
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

import msgspec
from jinja2 import PackageLoader, Template
from markupsafe import Markup

from harness.errors import UserError
from harness.files import store
from harness.metrics.metric import TOKENS
from harness.report.page import environment, packaged
from harness.report.plots import INLINE, drawing
from harness.text import printable
from training.curves.history import RECORD_FILE, StageHistory, read_history
from training.curves.panels import PANELS, Panel, metric_values, panel_lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAGE = "curves.html"
# Dash patterns, in line widths. Each is used with all colors in turn; after 16 lines they repeat.
DASHES = ((), (4, 2), (1, 1.5), (6, 1.5, 1, 1.5))
# The window of the moving mean is the number of logged values divided by this.
WINDOWS = 20
# A curve with at most this many values has a dot for each.
MAX_DOTS = 25
# With more values than this, a plot shows their range instead of each value.
MAX_VALUES = 400


class Shown(msgspec.Struct):
    """What the page reads in training.json. It lists all other fields as they are."""

    recipe: str | None = None
    base: str | None = None
    data: list[dict[str, Any]] = []


@dataclass(frozen=True, slots=True)
class TrainingRun:
    """A run with its label on the page."""

    label: str
    # The contents of training.json; empty until the first stage is finished.
    training: Mapping[str, Any]
    stages: Mapping[str, StageHistory]

    def settings(self) -> dict[str, Any]:
        """training.json with lists as dictionaries by index, so that each entry has a separate line."""
        return {k: dict(enumerate(v)) if isinstance(v, list) else v for k, v in self.training.items()}


@dataclass(frozen=True, slots=True)
class Curve:
    """The finite values of a metric of a run, and the moving mean that ends at each of them."""

    label: str
    style: int
    steps: Sequence[int]
    values: Sequence[float]
    means: Sequence[float]

    def figures(self) -> list[tuple[str, int]]:
        """First, last, lowest and highest mean, formatted, each with its step."""
        places = range(len(self.means))
        lowest, highest = min(places, key=self.means.__getitem__), max(places, key=self.means.__getitem__)
        return [(format_value(self.means[i]), self.steps[i]) for i in (0, places[-1], lowest, highest)]


@dataclass(frozen=True, slots=True)
class CurvePlot:
    title: str
    note: str
    # Values per moving mean.
    window: int
    curves: Sequence[Curve]
    svg: Markup


@dataclass(frozen=True, slots=True)
class StageSection:
    """The plots of one stage."""

    name: str
    plots: Sequence[CurvePlot]
    # Metrics without a panel, of a single run only.
    rest: Sequence[Curve]


def write_curves(*runs: Path, out: Path | None = None) -> Path:
    """Writes the page to `out`, by default RUN/curves.html for one run. A run may still be training."""
    if out is None:
        if len(runs) != 1:
            raise UserError(f"out: expected a file for the page of {len(runs)} runs, got none")
        out = runs[0] / PAGE
    page = render([_read_run(path, label) for path, label in zip(runs, _labels(runs), strict=True)])
    with store.writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    store.write(out, page.encode())
    return out


def _labels(runs: Sequence[Path]) -> list[str]:
    """Names of the folders, or their paths if two have the same name."""
    names = [path.resolve().name for path in runs]
    return names if len(set(names)) == len(names) else [str(path) for path in runs]


def _read_run(path: Path, label: str) -> TrainingRun:
    stages, record = read_history(path), path / RECORD_FILE
    training = {}
    if record.exists():
        store.read_json(record, Shown)  # raises UserError for a record that the page cannot show
        training = store.read_json(record, dict[str, Any])
    return TrainingRun(label, training, stages)


def render(runs: Sequence[TrainingRun]) -> str:
    names = dict.fromkeys(name for run in runs for name in run.stages)
    return _template().render(
        runs=runs,
        sections=[_section(name, runs) for name in names],
        warnings=list(warnings(runs)),
        style=packaged("report.css"),
        line_style=line_style,
    )


@cache
def _template() -> Template:
    jinja = environment()
    jinja.loader = PackageLoader("training.curves", "")
    jinja.filters |= {"printable": printable, "duration": duration}
    return jinja.get_template("curves.html")


def duration(seconds: float) -> str:
    """As h:mm:ss."""
    return str(timedelta(seconds=round(seconds)))


def format_value(value: float) -> str:
    """Three significant digits, or all digits before the decimal point."""
    return TOKENS.format(value) if abs(value) >= 1000 else f"{value:.3g}"


def line_style(style: int) -> tuple[int, tuple[float, ...]]:
    """Index of the color, and dashes, of a line on the page and in its plots."""
    return style % len(INLINE.colors), DASHES[style // len(INLINE.colors) % len(DASHES)]


def warnings(runs: Sequence[TrainingRun]) -> Iterator[str]:
    """Problems that a reader needs to know before trusting the curves."""
    for run in runs:
        for name, stage in run.stages.items():
            for metric in ("loss", "grad_norm"):
                missing = [step for step, values in stage.steps.items() if values.get(metric, 0) is None]
                if missing:
                    yield (
                        f"{run.label}, {name}: {metric} was not finite at {len(missing)} of "
                        f"{len(stage.steps)} logged steps, first at step {min(missing)}; no curve shows them."
                    )


def _section(name: str, runs: Sequence[TrainingRun]) -> StageSection:
    # Index of the run -> metric -> step -> value.
    logged = {index: metric_values(run.stages[name]) for index, run in enumerate(runs) if name in run.stages}
    metrics = list(dict.fromkeys(metric for values in logged.values() for metric in values))
    plots: list[CurvePlot] = []
    plotted: set[str] = set()
    for panel in PANELS:
        # Title of a plot -> label, style and values of each of its curves.
        by_title: dict[str, list[tuple[str, int, Mapping[int, float]]]] = {}
        panel_curves = panel_lines(panel, metrics)
        for number, (line, names) in enumerate(panel_curves):
            for index, values in logged.items():
                if metric := next((name for name in names if name in values), None):
                    plotted.add(metric)
                    # The lines of a panel share a plot, but with several runs each line has its own.
                    shared = len(runs) == 1 or len(panel_curves) == 1
                    title = panel.title if shared else f"{panel.title}: {line}"
                    label, style = (line, number) if len(runs) == 1 else (runs[index].label, index)
                    by_title.setdefault(title, []).append((label, style, values[metric]))
        plots += [_plot(panel, title, curves) for title, curves in by_title.items()]
    rest = [] if len(runs) > 1 else [_curve(m, 0, logged[0][m], 1) for m in metrics if m not in plotted]
    return StageSection(name, plots, rest)


def _plot(panel: Panel, title: str, curves: Sequence[tuple[str, int, Mapping[int, float]]]) -> CurvePlot:
    longest = max(len(values) for *_, values in curves)
    window = max(1, longest // WINDOWS) if panel.smooth else 1
    smoothed = [_curve(label, style, values, window) for label, style, values in curves]
    return CurvePlot(title, panel.note, window, smoothed, _draw(smoothed, panel.zero))


def _curve(label: str, style: int, values_by_step: Mapping[int, float], window: int) -> Curve:
    values = list(values_by_step.values())
    means = [fmean(values[max(0, i + 1 - window) : i + 1]) for i in range(len(values))]
    return Curve(label, style, list(values_by_step), values, means)


def _draw(curves: Sequence[Curve], zero: bool) -> Markup:
    with drawing((5, 2.9), "curves") as plot:
        # Imported here because importing matplotlib takes most of a second, and training draws nothing.
        from matplotlib.ticker import MaxNLocator

        axes = plot.axes
        axes.margins(x=0.02)
        for curve in curves:
            color, dashes = line_style(curve.style)
            # Do not clip at the frame, because a line of zeros is on it.
            line: dict[str, Any] = {"color": INLINE.colors[color], "clip_on": False}
            if curve.means != curve.values and len(curves) <= len(INLINE.colors):
                _draw_values(axes, curve, INLINE.colors[color])
            if len(curve.steps) <= MAX_DOTS:
                line |= {"marker": "o", "markersize": 3}
            line["linestyle"] = (0, dashes) if dashes else "solid"
            axes.plot(curve.steps, curve.means, linewidth=1.8, **line)
        if zero:
            axes.update_datalim([(curves[0].steps[0], 0.0)])
            axes.autoscale_view()
            axes.set_ylim(bottom=min(0.0, *(min(curve.values) for curve in curves)))
        axes.set(xlabel="step")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
    return plot.inline


def _draw_values(axes: Axes, curve: Curve, color: str) -> None:
    """Draws the values faintly behind the means, or their ranges if there are more than MAX_VALUES."""
    size = math.ceil(len(curve.values) / MAX_VALUES)
    if size == 1:
        axes.plot(curve.steps, curve.values, linewidth=0.8, alpha=0.35, color=color, clip_on=False)
        return
    parts = [curve.values[i : i + size] for i in range(0, len(curve.values), size)]
    low, high = [min(part) for part in parts], [max(part) for part in parts]
    axes.fill_between(curve.steps[::size], low, high, alpha=0.25, linewidth=0, color=color)
