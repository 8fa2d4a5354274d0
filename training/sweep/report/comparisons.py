"""Paired differences between the methods of a grid, seed by seed, with each base.

The primary comparisons are named in the file of the sweep. Their p-values are corrected together by Holm's
method, over all of them that are planned, and only they decide anything. All other pairs are exploratory.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import combinations

from harness.metrics.metric import DASH
from harness.report.text import markdown_table
from harness.stats.paired import Difference, holm, paired
from training.sweep.records import GridPlan
from training.sweep.report import tables
from training.sweep.report.results import INTERNALIZED, MethodRow

# A difference is shown if its corrected p-value is below this level.
LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Comparison:
    """Internalized accuracy of one method minus that of another, with the same base and data."""

    these: MethodRow
    those: MethodRow
    primary: bool

    @property
    def name(self) -> str:
        return f"{tables.name(self.these)} minus {tables.name(self.those)}"

    @property
    def differences(self) -> list[float]:
        pairs = [(figures, self.those.figures.get(seed, {})) for seed, figures in self.these.figures.items()]
        return [
            a[INTERNALIZED] - b[INTERNALIZED] for a, b in pairs if INTERNALIZED in a and INTERNALIZED in b
        ]


def compare(grid: GridPlan, rows: Sequence[MethodRow]) -> list[Comparison]:
    """The primary comparisons of a grid, then all others, each with all bases."""
    pairs = [(these, those, True) for these, those in grid.primary]
    methods = dict.fromkeys(row.cell.method for row in rows)
    known = {frozenset(pair) for pair in grid.primary}
    pairs += [(b, a, False) for a, b in combinations(methods, 2) if frozenset((a, b)) not in known]
    return [
        Comparison(one, other, primary)
        for these, those, primary in pairs
        for one in rows
        for other in rows
        if (one.cell.method, other.cell.method) == (these, those) and _comparable(one, other)
    ]


def _comparable(one: MethodRow, other: MethodRow) -> bool:
    same = ("benchmarks", "base")
    chains = {one.cell.covered_by, other.cell.covered_by} - {None}
    return (
        one.benchmark == other.benchmark
        and all(getattr(one.cell, name) == getattr(other.cell, name) for name in same)
        and len(chains) <= 1
    )


def comparison_tables(comparisons: Iterable[Comparison]) -> tuple[list[str], list[str]]:
    """Markdown of the primary comparisons and of the exploratory ones; both empty without primary ones."""
    results = [(c, paired(c.differences)) for c in comparisons]
    primary = [(c, result) for c, result in results if c.primary]
    others = [_cells(c, result) for c, result in results if not c.primary]
    if not primary:
        return [], []
    corrected = holm([result and result.p for _, result in primary])
    body = [
        [*_cells(c, result), _p(result and result.p), _p(p), _outcome(p)]
        for (c, result), p in zip(primary, corrected, strict=True)
    ]
    decided = [
        "### Primary comparisons",
        "Differences in internalized accuracy on the same policies: paired t-test, two-sided, "
        f"{len(primary)} comparisons corrected together by Holm's method. Shown: corrected p below {LEVEL}.",
        markdown_table((*HEADS, "p", "corrected p", "outcome"), body, texts=2),
    ]
    exploratory = [
        "### Exploratory comparisons",
        "These were not chosen beforehand and decide nothing. Their intervals are not corrected.",
        markdown_table(HEADS, others, texts=2),
    ]
    return decided, exploratory if others else []


HEADS = ("comparison", "base", "seeds", "difference (points)", "95 % interval")


def _cells(comparison: Comparison, result: Difference | None) -> list[str]:
    values, unit = comparison.differences, tables.POINTS
    mean = unit.change(sum(values) / len(values)) if values else DASH
    interval = f"{unit.change(result.low)} to {unit.change(result.high)}" if result else DASH
    return [comparison.name, str(comparison.these.cell.base), str(len(values)), mean, interval]


def _p(p: float | None) -> str:
    if p is None:
        return DASH
    return f"{p:.3f}" if p >= 0.001 else "below 0.001"


def _outcome(corrected: float | None) -> str:
    return "shown" if corrected is not None and corrected < LEVEL else "not decided"
