"""Every plot of the project as SVG, drawn with matplotlib.

A plot is drawn inside `drawing`, which yields the axes, and comes out in one of two forms:

    inline      a piece of an HTML page; its colors are CSS variables, one set for light and one for dark
    standalone  a file on white, for Markdown pages
"""

from __future__ import annotations

import io
import itertools
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from markupsafe import Markup

from harness.metrics.metric import Quantity, find
from harness.records import Distribution, ReportRow, Usage
from harness.text import short
from harness.variants import VARIANTS

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MARKERS = ("o", "s", "^", "D", "v", "P")
# Rules that fit into a plot of a distribution: all 63 conditions of a tree of six layers.
MOST_RULES = 64


@dataclass(frozen=True)
class Style:
    """Colors and form of a plot."""

    ink: str
    colors: tuple[str, ...]
    font_size: int

    def settings(self, salt: str) -> dict[Any, Any]:
        """For matplotlib's rc_context; the salt makes the ids inside an SVG reproducible."""
        inked = ("axes.edgecolor", "axes.labelcolor", "text.color", "xtick.color", "ytick.color")
        return {
            **dict.fromkeys(inked, self.ink),
            "font.size": self.font_size,
            "font.family": "sans-serif",
            "svg.fonttype": "none",
            "svg.hashsalt": salt,
            # Names are data: a "$" in them does not start a formula.
            "text.parse_math": False,
        }


# Placeholders that `_inlined` replaces by the page's CSS variables.
INLINE = Style("#010203", ("#a1b2c0", "#a1b2c1", "#a1b2c2", "#a1b2c3"), font_size=12)
# Suited to color blindness: Okabe and Ito's (with a darker yellow for white paper), and one of Tol's.
STANDALONE = Style(
    "#222222",
    ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9", "#000000", "#882255"),
    font_size=10,
)


@dataclass
class Drawing:
    """Axes to draw on; after the `with` block also the resulting SVG."""

    figure: Figure
    # The panels from left to right, and the one to draw on.
    panels: Sequence[Axes]
    axes: Axes
    style: Style
    svg: bytes = field(default=b"", init=False)

    @property
    def inline(self) -> Markup:
        return Markup(_inlined(self.svg.decode()))


@contextmanager
def drawing(
    size: tuple[float, float],
    salt: str,
    style: Style = INLINE,
    grid: Literal["x", "y", "both"] = "y",
    panels: int = 1,
) -> Iterator[Drawing]:
    """A plot of this size in inches, with a grid and no frame. Several panels share their y axis."""
    # Matplotlib takes most of a second to import, and most commands draw nothing.
    from matplotlib import rc_context
    from matplotlib.figure import Figure
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with rc_context(style.settings(salt)):
        figure = Figure(figsize=size)
        all_axes = figure.subplots(1, panels, sharey=True, squeeze=False)[0]
        drawn = Drawing(figure, list(all_axes), all_axes[0], style)
        yield drawn
        for axes in drawn.panels:
            axes.grid(axis=grid, color=style.ink, alpha=0.15)
            axes.set_axisbelow(True)
            axes.spines[["top", "right"]].set_visible(False)
        # If the figure had this engine, savefig would draw everything twice.
        ConstrainedLayoutEngine().execute(figure)
        file = io.BytesIO()
        form: dict[str, Any] = {"transparent": True} if style is INLINE else {"facecolor": "white"}
        metadata = dict.fromkeys(("Date", "Creator", "Format", "Type"))
        figure.savefig(file, format="svg", metadata=metadata, **form)
        drawn.svg = file.getvalue()


@dataclass(frozen=True, slots=True)
class Group:
    """The rows of one metric split by one group."""

    metric: Quantity
    name: str
    rows: Sequence[ReportRow]


def groups(rows: Sequence[ReportRow]) -> list[Group]:
    """One for each metric and group that the rows are split by."""
    found: dict[tuple[str, str], list[ReportRow]] = {}
    for row in rows:
        if row.group:
            found.setdefault((row.metric, row.group), []).append(row)
    return [Group(find(metric), name, members) for (metric, name), members in found.items()]


def variant_index(item: ReportRow | Distribution | Usage) -> int:
    """The index of a variant's color and marker, the same in every report."""
    return list(VARIANTS).index(item.variant) % len(INLINE.colors)


def group_plot(group: Group) -> Markup:
    """Points with intervals, in a slot per member with the variants side by side; chance is dashed."""
    metric, rows = group.metric, group.rows
    members = list(dict.fromkeys(row.member for row in rows))
    variants = [name for name in VARIANTS if any(row.variant == name for row in rows)]
    scale = metric.unit.scale
    upright = all(len(member) <= 4 for member in members)
    size = (6.4, 3.5) if upright else (6.4, 1.2 + 0.45 * len(members))
    with drawing(size, f"{metric.name}/{group.name}", grid="y" if upright else "x") as plot:
        for index, variant in enumerate(variants):
            offset = (index - (len(variants) - 1) / 2) / len(variants)
            here = [(members.index(row.member), row) for row in rows if row.variant == variant]
            chances = [(slot + offset, scale * row.chance) for slot, row in here if row.chance is not None]
            if chances:
                lines = plot.axes.hlines if upright else plot.axes.vlines
                middles, values = zip(*chances, strict=True)
                half = 0.5 / len(variants)
                starts, ends = [middle - half for middle in middles], [middle + half for middle in middles]
                lines(values, starts, ends, INLINE.ink, "dashed", linewidth=1)
            measured = [
                (slot + 0.75 * offset, (scale * row.mean, scale * row.low, scale * row.high))
                for slot, row in here
                if row.mean is not None and row.low is not None and row.high is not None
            ]
            if measured:
                slots, of_slots = zip(*measured, strict=True)
                points(plot, variant_index(here[0][1]), slots, of_slots, upright=upright)
        places = range(len(members))
        names = list(map(short, members))
        if upright:
            plot.axes.set_xticks(places, names)
            plot.axes.set(xlim=(-0.6, len(members) - 0.4), xlabel=short(group.name), ylabel=metric.title)
        else:
            plot.axes.set_yticks(places, names)
            plot.axes.set(ylim=(len(members) - 0.4, -0.6), xlabel=metric.title, ylabel=short(group.name))
        if metric.unit.bounds is not None:
            low, high = (scale * bound for bound in metric.unit.bounds)
            margin = 0.03 * (high - low)
            (plot.axes.set_ylim if upright else plot.axes.set_xlim)(low - margin, high + margin)
    return plot.inline


# Mean, low and high in the units of the axis.
Point = tuple[float, float, float]


def points(
    plot: Drawing,
    index: int,
    places: Sequence[float],
    values: Sequence[Point],
    *,
    upright: bool,
    label: str = "",
    joined: bool = False,
    intervals: bool = True,
) -> None:
    """A series of points with 95 % intervals, in the color and with the marker of its index.

    Upright: the places are along x and the values along y; otherwise the other way round.
    """
    means = [mean for mean, _, _ in values]
    reach = [[max(0.0, m - low) for m, low, _ in values], [max(0.0, high - m) for m, _, high in values]]
    at: dict[str, Any] = {"x": places, "y": means} if upright else {"x": means, "y": places}
    if intervals:
        at["yerr" if upright else "xerr"] = reach
    form = MARKERS[index % len(MARKERS)] + ("-" if joined else "")
    color = plot.style.colors[index % len(plot.style.colors)]
    large = plot.style is INLINE
    plot.axes.errorbar(
        **at,
        fmt=form,
        color=color,
        capsize=3 if large else 2.5,
        elinewidth=1.6 if large else 1,
        markersize=6 if large else 5,
        label=label or None,
    )


def distribution_bars(distribution: Distribution) -> Markup:
    """Two bars per rule: how many responses should cite it, and how many do."""
    prefix, chosen = shared_prefix(distribution.rules), most_frequent(distribution)
    places = range(len(chosen))
    names = [short(distribution.rules[i].removeprefix(prefix)) for i in chosen]
    size = (max(7.5, 1.5 + 0.23 * len(chosen)), 3.4)
    with drawing(size, f"branching/{distribution.variant}") as plot:
        gold, cited = ([side[i] for i in chosen] for side in (distribution.gold, distribution.cited))
        color = plot.style.colors[variant_index(distribution)]
        plot.axes.bar([p - 0.2 for p in places], gold, 0.4, color=plot.style.ink, alpha=0.3)
        plot.axes.bar([p + 0.2 for p in places], cited, 0.4, color=color)
        plot.axes.set(xlim=(-0.7, len(chosen) - 0.3), xlabel=prefix.strip() or "rule", ylabel="responses")
        plot.axes.set_xticks(places, names, rotation=90 if len(chosen) > 3 else 0, fontsize=10)
    return plot.inline


def most_frequent(distribution: Distribution) -> list[int]:
    """The indices of the rules to draw: those that are cited, or should be, most often, in order."""
    weight = [g + c for g, c in zip(distribution.gold, distribution.cited, strict=True)]
    return sorted(sorted(range(len(weight)), key=lambda i: -weight[i])[:MOST_RULES])


def shared_prefix(names: Sequence[str]) -> str:
    """The words with which all names begin: "Condition " for "Condition 1" and "Condition 1.2"."""
    if len(names) < 2:
        return ""
    pairs = zip(min(names).split(" "), max(names).split(" "), strict=False)
    words = (a for a, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], pairs))
    return "".join(f"{word} " for word in words)


def _inlined(svg: str) -> str:
    """Matplotlib's file as a piece of an HTML page: without prologue and ids, in the page's colors."""
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>|<style.*?</style>", "", svg, flags=re.DOTALL)
    tag, end, rest = svg.partition(">")
    svg = re.sub(r' (xmlns(:xlink)?|version)="[^"]*"', "", tag) + end + rest
    svg = re.sub(r'<g id="[^"]*">', "<g>", svg)
    svg = svg.replace(INLINE.ink, "currentColor")
    for index, color in enumerate(INLINE.colors):
        svg = svg.replace(color, f"var(--variant-{index})")
    return svg
