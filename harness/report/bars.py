"""Counts and shares as inline SVG bars: the first faults of each variant, and cited rules against gold."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from markupsafe import Markup

from harness.records import Distribution, ReportRow
from harness.report.plots import COLOURS, INK, STYLE, short, svg, variant_index

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 64
"""Rules that a plot has room for: all 63 conditions of a tree of six layers."""


def fault_bars(rows: Sequence[ReportRow]) -> Markup:
    """For each fault, the most frequent on top, a bar for each variant with its interval."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    labels = list(dict.fromkeys(row.member for row in rows))
    variants = sorted({row.variant: variant_index(row) for row in rows}.items(), key=lambda item: item[1])
    thick = 0.8 / len(variants)
    settings: dict[Any, Any] = {**STYLE, "svg.hashsalt": "faults"}
    with rc_context(settings):
        figure = Figure(figsize=(8, 1 + 0.4 * len(labels)), layout="constrained")
        axes = figure.subplots()
        for row in rows:
            place = [name for name, _ in variants].index(row.variant)
            at = labels.index(row.member) + (place - (len(variants) - 1) / 2) * thick
            if row.mean is None or row.low is None or row.high is None:
                continue
            axes.barh(at, 100 * row.mean, 0.85 * thick, color=COLOURS[variant_index(row)])
            axes.hlines(at, 100 * row.low, 100 * row.high, INK, linewidth=0.8, alpha=0.6)
        axes.set(xlim=(0, None), ylim=(len(labels) - 0.4, -0.6), xlabel="share of responses (%)")
        axes.set_yticks(range(len(labels)), [short(label, 40) for label in labels])
        _frame(axes, "x")
        return svg(figure)


def distribution_bars(distribution: Distribution) -> Markup:
    """For each rule, how many responses should cite it beside how many do."""
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    prefix, chosen = shared_prefix(distribution.rules), shown(distribution)
    places = range(len(chosen))
    names = [short(distribution.rules[i].removeprefix(prefix)) for i in chosen]
    colour = COLOURS[variant_index(distribution)]
    settings: dict[Any, Any] = {**STYLE, "svg.hashsalt": f"branching/{distribution.variant}"}
    with rc_context(settings):
        figure = Figure(figsize=(max(7.5, 1.5 + 0.23 * len(chosen)), 3.4), layout="constrained")
        axes = figure.subplots()
        gold, cited = ([side[i] for i in chosen] for side in (distribution.gold, distribution.cited))
        axes.bar([p - 0.2 for p in places], gold, 0.4, color=INK, alpha=0.3)
        axes.bar([p + 0.2 for p in places], cited, 0.4, color=colour)
        axes.set(xlim=(-0.7, len(chosen) - 0.3), xlabel=prefix.strip() or "rule", ylabel="responses")
        axes.set_xticks(places, names, rotation=90 if len(chosen) > 3 else 0, fontsize=10)
        _frame(axes, "y")
        return svg(figure)


def shown(distribution: Distribution) -> list[int]:
    """Which of the rules the plot shows: in order, the MOST that are cited or should be most often."""
    weight = [g + c for g, c in zip(distribution.gold, distribution.cited, strict=True)]
    return sorted(sorted(range(len(weight)), key=lambda i: -weight[i])[:MOST])


def shared_prefix(names: Sequence[str]) -> str:
    """The words that all names begin with: "Condition " of "Condition 1" and "Condition 1.2"."""
    first, last = min(names).split(" "), max(names).split(" ")
    words = [
        a for a, _ in itertools.takewhile(lambda pair: pair[0] == pair[1], zip(first, last, strict=False))
    ]
    return "".join(f"{word} " for word in words) if len(names) > 1 else ""


def _frame(axes: Axes, along: str) -> None:
    axes.grid(axis=along, color=INK, alpha=0.15)  # type: ignore[arg-type]
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
