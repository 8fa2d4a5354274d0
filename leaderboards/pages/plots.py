"""Plots as inline SVG, drawn by a template: points, lines and bars with 95 % intervals.

Not by matplotlib, because a board changes with every submission and its page should come at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup

from harness.variants import VARIANTS
from leaderboards.pages.reported import beside
from leaderboards.pages.view import View
from leaderboards.storage.board import Boards
from leaderboards.storage.records import Board

LINES = 4
"""Models that the plot over depth has colours for."""
BARS = 14
POINTS = 200
"""Of each variant, the best: a cloud of thousands says no more and makes the page slow."""
WIDTH, HEIGHT = 640, 300
LEFT, RIGHT, TOP, BOTTOM = 48, 12, 16, 40


@dataclass(frozen=True, slots=True)
class Point:
    """Where it is drawn, and what it says when it is pointed at."""

    x: float
    y: float
    low: float
    high: float
    title: str


@dataclass(frozen=True, slots=True)
class Series:
    name: str
    points: Sequence[Point]
    colour: int


@dataclass(frozen=True, slots=True)
class Plot:
    """In the template's coordinates: scores run from 0 to 100 upwards."""

    title: str
    axis: str
    ticks: Sequence[tuple[float, str]]
    series: Sequence[Series]
    joined: bool


@dataclass(frozen=True, slots=True)
class Bar:
    name: str
    mean: float
    low: float
    high: float
    reported: bool


def height(share: float) -> float:
    return round(TOP + (1 - share) * (HEIGHT - TOP - BOTTOM), 1)


def across(share: float) -> float:
    return round(LEFT + share * (WIDTH - LEFT - RIGHT), 1)


def by_depth(boards: Boards, board: Board) -> Plot | None:
    """The best models over all depths N that have a board alike but for N; None below two depths."""
    if not isinstance(board.config.get("depth"), int):
        return None
    alike = {
        int(other.config["depth"]): other
        for other in boards.boards()
        if not other.legacy and _but_depth(other) == _but_depth(board)
    }
    if len(alike) < 2:
        return None
    depths = sorted(alike)
    scores: dict[str, dict[int, Point]] = {}
    for place, depth in enumerate(depths):
        x = across((place + 0.5) / len(depths))
        for row in reversed(boards.rows(alike[depth])):  # the best of a model is kept
            f = row.figures
            title = f"{row.model}, N={depth}: {100 * f.mean:.1f}"
            point = Point(x, height(f.mean), height(f.low), height(f.high), title)
            scores.setdefault(row.model, {})[depth] = point
    chosen = sorted(scores, key=lambda model: (-len(scores[model]), sum(p.y for p in scores[model].values())))
    series = [
        Series(model, [scores[model][d] for d in depths if d in scores[model]], index)
        for index, model in enumerate(chosen[:LINES])
    ]
    ticks = [(across((place + 0.5) / len(depths)), str(depth)) for place, depth in enumerate(depths)]
    return Plot("Score by depth N", "layers of conditions, N", ticks, series, joined=True)


def _but_depth(board: Board) -> tuple[object, ...]:
    config = {name: value for name, value in board.config.items() if name != "depth"}
    key = board.key
    return board.family, sorted(config.items(), key=str), key.split, key.variant, key.scorer, key.judge


def by_tokens(boards: Boards, board: Board) -> Plot | None:
    """The best entries of the benchmark under every variant; None where no run tells its tokens."""
    alike = [
        other
        for other in boards.boards()
        if other.key._replace(variant="") == board.key._replace(variant="") and other.key.variant in VARIANTS
    ]
    told = [
        (other.key.variant, row.model, tokens, row.figures)
        for other in alike
        for row in boards.rows(other)[:POINTS]
        if (tokens := row.figures.columns.get("prompt tokens"))
    ]
    if not told:
        return None
    scale, ticks = logarithmic([tokens for _, _, tokens, _ in told])
    points: dict[str, dict[tuple[float, float], Point]] = {}
    for variant, model, tokens, f in told:
        place = across(scale(tokens)), height(f.mean)
        title = f"{model}, {variant}: {100 * f.mean:.1f} at {tokens:,.0f} tokens"
        # Of those on one spot one is drawn.
        points.setdefault(variant, {})[place] = Point(*place, height(f.low), height(f.high), title)
    order = list(VARIANTS)
    series = [
        Series(variant, list(points[variant].values()), order.index(variant))
        for variant in order
        if variant in points
    ]
    cut = f" (the best {POINTS} of a variant)" if any(other.entries > POINTS for other in alike) else ""
    return Plot("Score by prompt tokens", f"mean prompt tokens{cut}", ticks, series, joined=False)


def logarithmic(values: Sequence[float]) -> tuple[Callable[[float], float], list[tuple[float, str]]]:
    """A scale from values to 0..1, and ticks at 1, 2 and 5 times the powers of ten."""
    low, high = math.log10(min(values)) - 0.1, math.log10(max(values)) + 0.1

    def scale(value: float) -> float:
        return (math.log10(value) - low) / (high - low)

    powers = range(math.floor(low), math.ceil(high) + 1)
    marks = [factor * 10.0**power for power in powers for factor in (1, 2, 5)]
    return scale, [(across(scale(m)), f"{m:g}") for m in marks if 0 <= scale(m) <= 1]


def span(low: float, high: float, mean: float, kind: str) -> Markup:
    """An interval and its mean on a line from 0 to 1, for a table's cell; a thousand of them in no time."""
    start, width = 2 + 100 * low, max(100 * (high - low), 0.5)
    return Markup(
        '<svg class="bar {}" viewBox="0 0 104 12" preserveAspectRatio="none" aria-hidden="true">'
        '<path class="track" d="M2 5h100v2H2z"/>'
        f'<path class="interval" d="M{start:.1f} 3h{width:.1f}v6h-{width:.1f}z"/>'
        f'<path class="mean" d="M{1.1 + 100 * mean:.1f} 1h1.8v10h-1.8z"/></svg>'
    ).format(kind)


def bars(shown: View) -> list[Bar]:
    """The best entry of each of the best models, and what the paper reports."""
    best: dict[tuple[str, str], Bar] = {}
    for line in shown.lines:
        f, model = line.row.figures, line.row.model
        name = f"{f.method}, {model}" if f.method else model
        best.setdefault((model, f.method), Bar(name, f.mean, f.low, f.high, reported=False))
    reported = [
        Bar(f"{row.method}, {row.model}", row.score / 100, row.score / 100, row.score / 100, reported=True)
        for _, row in beside(shown.board)
    ]
    return [*list(best.values())[:BARS], *reported]
