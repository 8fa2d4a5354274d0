"""The plots on the page of a board: scores by depth, prompt tokens and method, and intervals in tables.

Matplotlib draws a plot in about 0.1 s. Plots are cached by their data, so only the first view after a
submission takes this time. The interval in each row of a table is written as SVG without matplotlib, because
a board can have thousands of rows.
"""

import re
from dataclasses import dataclass
from functools import lru_cache

from markupsafe import Markup, escape

from harness.metrics.metric import SHARE
from harness.report import plots
from harness.report.plots import INLINE, MARKERS, Drawing, drawing
from harness.variants import VARIANTS
from leaderboards.columns import PROMPT_TOKENS
from leaderboards.pages.ranking import RankedBoard, reported_scores
from leaderboards.storage.board import Boards
from leaderboards.storage.records import Board, Figures

# In the plot by depth. There is one color for each model.
MAX_MODELS = len(INLINE.colors)
# For each variant in the plot by tokens. Thousands of points would be unreadable.
MAX_POINTS = 200
MAX_BARS = 14
# The candidate ticks of a logarithmic axis.
TICKS = [factor * 10**power for power in range(9) for factor in (1, 2, 5)]


@dataclass(frozen=True, slots=True)
class Point:
    x: float
    # Mean, low and high in percent.
    value: tuple[float, float, float]
    # Shown when the mouse pointer is on the point.
    description: str


@dataclass(frozen=True, slots=True)
class Series:
    """Points of the same color and marker."""

    name: str
    # Selects the color and the marker.
    index: int
    points: tuple[Point, ...]


@dataclass(frozen=True, slots=True)
class BoardPlot:
    title: str
    x_label: str
    series: tuple[Series, ...]
    # The labels of x = 0, 1, ...; empty for a logarithmic x axis.
    x_tick_labels: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class MethodBar:
    """A bar of the plot by method: the best entry of a method and model, or a score of the paper."""

    name: str
    mean: float
    low: float
    high: float
    reported: bool = False


def by_depth(boards: Boards, board: Board) -> BoardPlot | None:
    """The best models on boards that differ only in the depth N; None if there is only one depth."""
    kind = _without_depth(board)
    alike = [other for other in boards.boards() if not other.legacy and _without_depth(other) == kind]
    # The board itself and otherwise the oldest of each depth, so a later submission replaces none of them.
    board_by_depth = {
        depth: other
        for other in (*reversed(alike), board)
        if isinstance(depth := other.config.get("depth"), int)
    }
    if board not in board_by_depth.values() or len(board_by_depth) < 2:
        return None
    depths = sorted(board_by_depth)
    models: dict[str, dict[int, Point]] = {}
    for x, depth in enumerate(depths):
        # Worst entry first, so that the best entry of a model replaces its other entries.
        for entry in reversed(boards.entries(board_by_depth[depth])):
            description = f"{entry.model}, N={depth}: {SHARE.format(entry.figures.mean)}"
            models.setdefault(entry.model, {})[x] = Point(x, _percent(entry.figures), description)

    def most_depths_then_best(model: str) -> tuple[int, float]:
        return -len(models[model]), -sum(point.value[0] for point in models[model].values())

    chosen = sorted(models, key=most_depths_then_best)[:MAX_MODELS]
    series = tuple(Series(model, k, tuple(models[model].values())) for k, model in enumerate(chosen))
    return BoardPlot("Score by depth N", "layers of conditions, N", series, tuple(map(str, depths)))


def _without_depth(board: Board) -> tuple[object, ...]:
    config = {name: value for name, value in board.config.items() if name != "depth"}
    return board.family, config, board.key._replace(digest="")


def by_tokens(boards: Boards, board: Board) -> BoardPlot | None:
    """The best entries under each variant of the same benchmark; None if no entry has a count of tokens."""
    key = board.key._replace(variant="")
    variants = {b.key.variant: b for b in boards.boards() if b.key._replace(variant="") == key}
    series = []
    for index, variant in enumerate(VARIANTS):
        entries = boards.entries(variants[variant])[:MAX_POINTS] if variant in variants else []
        points = {}
        for entry in entries:
            if tokens := entry.figures.columns.get(PROMPT_TOKENS.name):
                mean, count = SHARE.format(entry.figures.mean), PROMPT_TOKENS.unit.format(tokens)
                description = f"{entry.model}, {variant}: {mean} at {count} tokens"
                # Draw one point per position.
                points[mean, count] = Point(tokens, _percent(entry.figures), description)
        if points:
            series.append(Series(variant, index, tuple(points.values())))
    cut = any(other.entries > MAX_POINTS for other in variants.values())
    x_label = "mean prompt tokens" + (f" (the best {MAX_POINTS} of each variant)" if cut else "")
    return BoardPlot("Score by prompt tokens", x_label, tuple(series)) if series else None


def _percent(figures: Figures) -> tuple[float, float, float]:
    return SHARE.scale * figures.mean, SHARE.scale * figures.low, SHARE.scale * figures.high


def bars(ranked: RankedBoard) -> list[MethodBar]:
    """The best entry of each method and model, up to MAX_BARS, followed by the paper's scores."""
    best: dict[tuple[str, str], MethodBar] = {}
    for entry in [row.entry for row in ranked.entries]:
        f, model = entry.figures, entry.model
        name = f"{f.method}, {model}" if f.method else model
        best.setdefault((model, f.method), MethodBar(name, f.mean, f.low, f.high))
    bars = list(best.values())[:MAX_BARS]
    for _, reported in reported_scores(ranked.board):
        score = reported.score / SHARE.scale
        bars.append(MethodBar(f"{reported.method}, {reported.model}", score, score, score, reported=True))
    return bars


@lru_cache(maxsize=64)
def draw(plot: BoardPlot) -> Markup:
    """The plot as inline SVG. Each point shows its description when the mouse pointer is on it.

    Only one thread may draw at a time, because matplotlib's settings are global.
    """
    descriptions: list[str] = []
    with drawing((6.4, 3.2), plot.title) as canvas:
        if plot.x_tick_labels:
            canvas.axes.set_xticks(range(len(plot.x_tick_labels)), plot.x_tick_labels)
            canvas.axes.set_xlim(-0.5, len(plot.x_tick_labels) - 0.5)
        else:
            canvas.axes.set_xscale("log")
            canvas.axes.set_xticks(TICKS, [f"{tick:g}" for tick in TICKS])
            canvas.axes.minorticks_off()
        for series in plot.series:
            _draw_series(canvas, series, len(descriptions), joined=bool(plot.x_tick_labels))
            descriptions += [point.description for point in series.points]
        canvas.axes.set(ylim=(-3, 103), xlabel=plot.x_label, ylabel="score (%)")
    titles = [f"<g><title>{escape(description)}</title>" for description in descriptions]
    # Matplotlib can write a link for a point, but not a title. So each link is replaced by a title.
    svg = re.sub(r'<a xlink:href="point-(\d+)"[^>]*>', lambda link: titles[int(link[1])], canvas.inline)
    return Markup(svg.replace("</a>", "</g>"))


def _draw_series(canvas: Drawing, series: Series, first_link: int, joined: bool) -> None:
    """Draws points with links numbered from `first_link`. If joined, also their intervals and a line."""
    xs, values = [p.x for p in series.points], [p.value for p in series.points]
    if joined:
        plots.points(canvas, series.index, xs, values, upright=True, joined=True)
    canvas.axes.scatter(
        xs,
        [mean for mean, _, _ in values],
        marker=MARKERS[series.index],
        color=canvas.style.colors[series.index],
        alpha=0.75,
        clip_on=False,
        zorder=3,
        urls=[f"point-{first_link + k}" for k in range(len(xs))],
    )


def interval(low: float, high: float, mean: float, css_class: str) -> Markup:
    """SVG of an interval and its mean on a line from 0 to 1, for a cell of a table."""
    start, width = 2 + 100 * low, max(100 * (high - low), 0.5)
    return Markup(
        '<svg class="bar {}" viewBox="0 0 104 12" preserveAspectRatio="none" aria-hidden="true">'
        '<path class="track" d="M2 5h100v2H2z"/>'
        f'<path class="interval" d="M{start:.1f} 3h{width:.1f}v6h-{width:.1f}z"/>'
        f'<path class="mean" d="M{1.1 + 100 * mean:.1f} 1h1.8v10h-1.8z"/></svg>'
    ).format(css_class)
