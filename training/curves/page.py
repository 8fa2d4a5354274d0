"""Curves of a run, or of several over each other: one HTML file that needs no network."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from jinja2 import PackageLoader
from markupsafe import Markup

from harness.errors import UserError
from harness.files import store
from harness.metrics.metric import TOKENS
from harness.report.page import environment, packaged
from harness.report.plots import INLINE, drawing
from harness.report.text import printable
from training.curves.history import Stage, read
from training.curves.panels import PANELS, Panel, by_metric, lines

if TYPE_CHECKING:
    from matplotlib.axes import Axes

PAGE = "curves.html"
TRAINING = "training.json"
DASHES = ((), (4, 2), (1, 1.5), (6, 1.5, 1, 1.5))
"""One for each round through the colours, in widths of the line; after 16 lines they begin again."""
PART = 20
"""A line is the mean of the last twentieth of what there is of its metric."""
DOTTED = 25
"""Up to so many values, each is a dot."""
MOST = 400
"""Values that a plot has room to show one by one."""


@dataclass(frozen=True, slots=True)
class Run:
    """`training` is what training.json says, nothing while there is none."""

    label: str
    training: Mapping[str, Any]
    stages: Mapping[str, Stage]

    def settings(self) -> dict[str, Any]:
        """training.json with the members of a list under their numbers, so that each has a line."""
        return {k: dict(enumerate(v)) if isinstance(v, list) else v for k, v in self.training.items()}


@dataclass(frozen=True, slots=True)
class Series:
    """The finite values of a metric of a run, and of each the mean with those before it in a window."""

    label: str
    style: int
    steps: Sequence[int]
    values: Sequence[float]
    means: Sequence[float]

    def figures(self) -> list[tuple[str, int]]:
        """First, last, lowest and highest mean, each with its step."""
        places = range(len(self.means))
        lowest, highest = (extreme(places, key=self.means.__getitem__) for extreme in (min, max))
        return [(figure(self.means[i]), self.steps[i]) for i in (0, places[-1], lowest, highest)]


@dataclass(frozen=True, slots=True)
class Plot:
    title: str
    note: str
    window: int
    series: Sequence[Series]
    svg: Markup


@dataclass(frozen=True, slots=True)
class Section:
    """One stage of all runs that have it, by their place on the page."""

    name: str
    stages: Mapping[int, Stage]
    plots: Sequence[Plot]
    rest: Sequence[Series]
    """What a run logged besides; empty where several are compared."""


def write_curves(*runs: Path, out: Path | None = None) -> Path:
    """Draws the page, into the run's own folder unless told otherwise; a run may still be training."""
    if out is None:
        if len(runs) != 1:
            raise UserError(f"out: expected the file to write a page of {len(runs)} runs to, got none")
        out = runs[0] / PAGE
    page = render([_run(path, label) for path, label in zip(runs, _labels(runs), strict=True)])
    with store.writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    store.write(out, page.encode())
    return out


def _labels(runs: Sequence[Path]) -> list[str]:
    """Names of folders; whole paths where two have the same name."""
    names = [path.resolve().name for path in runs]
    return names if len(set(names)) == len(names) else [str(path) for path in runs]


def _run(path: Path, label: str) -> Run:
    stages, training = read(path), path / TRAINING
    return Run(label, store.read_json(training, dict[str, Any]) if training.exists() else {}, stages)


def render(runs: Sequence[Run]) -> str:
    made = environment()
    made.loader = PackageLoader("training.curves", "")
    made.filters |= {"printable": printable, "duration": duration}
    names = dict.fromkeys(name for run in runs for name in run.stages)
    return made.get_template("curves.html").render(
        runs=runs,
        sections=[_section(name, runs) for name in names],
        warnings=list(warnings(runs)),
        style=packaged("report.css"),
        look=look,
    )


def duration(seconds: float) -> str:
    """As h:mm:ss."""
    return str(timedelta(seconds=round(seconds)))


def figure(value: float) -> str:
    """Three digits that count, and more only before the point."""
    return TOKENS.format(value) if abs(value) >= 1000 else f"{value:.3g}"


def look(style: int) -> tuple[int, tuple[float, ...]]:
    """Colour and dashes of a line, on the page and in its plots."""
    return style % len(INLINE.colors), DASHES[style // len(INLINE.colors) % len(DASHES)]


def warnings(runs: Sequence[Run]) -> Iterator[str]:
    """What a reader must know before believing the curves."""
    for run in runs:
        for name, stage in run.stages.items():
            for metric in ("loss", "grad_norm"):
                bad = [step for step, values in stage.steps.items() if values.get(metric, 0) is None]
                if bad:
                    yield (
                        f"{run.label}, {name}: {metric} was no finite number at {len(bad)} of "
                        f"{len(stage.steps)} logged steps, first at step {min(bad)}; they are in no curve."
                    )


def _section(name: str, runs: Sequence[Run]) -> Section:
    stages = {place: run.stages[name] for place, run in enumerate(runs) if name in run.stages}
    logged = {place: by_metric(stage) for place, stage in stages.items()}
    metrics = list(dict.fromkeys(metric for found in logged.values() for metric in found))
    plots: list[Plot] = []
    drawn: set[str] = set()
    for panel in PANELS:
        named: dict[str, list[tuple[str, int, Mapping[int, float]]]] = {}
        wanted = lines(panel, metrics)
        for number, (line, names) in enumerate(wanted):
            for place, found in logged.items():
                if metric := next((name for name in names if name in found), None):
                    drawn.add(metric)
                    # One run has its lines together; of several, each metric has a plot of its own.
                    title = panel.title if len(runs) == 1 or len(wanted) == 1 else f"{panel.title}: {line}"
                    label, style = (line, number) if len(runs) == 1 else (runs[place].label, place)
                    named.setdefault(title, []).append((label, style, found[metric]))
        plots += [_plot(panel, title, found) for title, found in named.items()]
    rest = [] if len(runs) > 1 else [_series(m, 0, logged[0][m], 1) for m in metrics if m not in drawn]
    return Section(name, stages, plots, rest)


def _plot(panel: Panel, title: str, found: Sequence[tuple[str, int, Mapping[int, float]]]) -> Plot:
    longest = max(len(values) for *_, values in found)
    window = max(1, longest // PART) if panel.noisy else 1
    series = [_series(label, style, values, window) for label, style, values in found]
    return Plot(title, panel.note, window, series, _draw(series, panel.zero))


def _series(label: str, style: int, found: Mapping[int, float], window: int) -> Series:
    values = list(found.values())
    means = [fmean(values[max(0, i + 1 - window) : i + 1]) for i in range(len(values))]
    return Series(label, style, list(found), values, means)


def _draw(series: Sequence[Series], zero: bool) -> Markup:
    with drawing((5, 2.9), "curves") as plot:
        # Imported here because importing matplotlib takes most of a second, and training draws nothing.
        from matplotlib.ticker import MaxNLocator

        axes = plot.axes
        axes.margins(x=0.02)
        for s in series:
            color, dashes = look(s.style)
            # Not clipped at the frame, where a line of zeros would be cut in half.
            line: dict[str, Any] = {"color": INLINE.colors[color], "clip_on": False}
            if s.means != s.values and len(series) <= len(INLINE.colors):
                _faint(axes, s, INLINE.colors[color])
            if len(s.steps) <= DOTTED:
                line |= {"marker": "o", "markersize": 3}
            axes.plot(s.steps, s.means, linewidth=1.8, linestyle=(0, dashes) if dashes else "solid", **line)
        if zero:
            axes.update_datalim([(series[0].steps[0], 0.0)])
            axes.autoscale_view()
            axes.set_ylim(bottom=min(0.0, *(min(s.values) for s in series)))
        axes.set(xlabel="step")
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True, steps=[1, 2, 5, 10]))
    return plot.inline


def _faint(axes: Axes, s: Series, colour: str) -> None:
    """The values behind the means: as they are or, of more than can be seen, their range."""
    each = -(-len(s.values) // MOST)
    if each == 1:
        axes.plot(s.steps, s.values, linewidth=0.8, alpha=0.35, color=colour, clip_on=False)
        return
    parts = [s.values[i : i + each] for i in range(0, len(s.values), each)]
    low, high = [min(part) for part in parts], [max(part) for part in parts]
    axes.fill_between(s.steps[::each], low, high, alpha=0.25, linewidth=0, color=colour)
