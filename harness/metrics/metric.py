"""What a metric is: an object that knows how to compute, aggregate, format and explain one quantity.

    Unit       how values are written: scale, digits, symbol, and the range they can have
    Quantity   a named, explained figure with a unit: all that a table, a page or a board needs to show it
    Metric     a quantity that is computed from scored responses

Tables, report pages, comparisons, boards and sweep reports ask these objects, so a new metric is one file
with one `Metric`, registered under the entry point group `harness.metrics`.
"""

from __future__ import annotations

import math
import re
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache, partial
from typing import Literal

import msgspec

from harness import registry
from harness.errors import UserError
from harness.records import Distribution, ReportRow
from harness.results import Result, Results, by_instance, clusters_of
from harness.stats.intervals import estimate
from harness.text import printable
from harness.variants import VARIANTS, Variant

Figure = ReportRow | Distribution
DASH = "–"
# Separates the name of a metric from the detail of a row, as in "part: tool".
DETAIL = ": "


@dataclass(frozen=True, slots=True)
class Unit:
    """How the values of a quantity are written."""

    symbol: str = ""
    scale: float = 1.0
    digits: int = 1
    # The lowest and highest possible value; None if there are no limits.
    bounds: tuple[float, float] | None = None

    def format(self, value: float | None) -> str:
        """Such as "61.3" for a share of 0.613; a dash for None."""
        return DASH if value is None else f"{self.scale * value:z,.{self.digits}f}".replace(",", "\u202f")

    def change(self, value: float | None) -> str:
        """A difference of two values with its sign; zero has none."""
        if value is None:
            return DASH
        rounded = round(self.scale * value, self.digits)
        return f"{rounded:{'+' if rounded else 'z'}.{self.digits}f}"

    def interval(self, low: float | None, high: float | None) -> str:
        return DASH if low is None or high is None else f"{self.format(low)} to {self.format(high)}"


SHARE = Unit("%", scale=100, bounds=(0.0, 1.0))
NUMBER = Unit()
TOKENS = Unit("tokens", digits=0)
SECONDS = Unit("s", digits=3)
DOLLARS = Unit("US dollars", digits=2)
OUT_OF_TEN = Unit("of 10", digits=2, bounds=(0.0, 10.0))


@dataclass(frozen=True, kw_only=True)
class Quantity:
    """A figure that can be shown anywhere without further knowledge."""

    name: str
    # One sentence for people who see the figure for the first time.
    explanation: str
    unit: Unit = SHARE
    # Which values are better.
    direction: Literal["higher", "lower", "neither"] = "higher"

    @property
    def title(self) -> str:
        """The name with its unit, as the head of a column or the label of an axis."""
        return f"{self.name} ({self.unit.symbol})" if self.unit.symbol else self.name


@dataclass(frozen=True, kw_only=True)
class Metric(Quantity):
    """A quantity that is measured on scored responses.

    Most metrics define `value`, the value of one response; the figure is then its mean by variant. The others
    define `aggregate`, which turns all results into rows.
    """

    # Returns None for a response to which the metric does not apply. Never called for a failed request.
    value: Callable[[Results, Result], float | None] | None = None
    # Whether a failed request could have had a value.
    applies: Callable[[Results, Result], bool] = lambda _results, _result: True
    aggregate: Callable[[Metric, Results], Iterable[Figure]] | None = None
    # A score of the answers themselves. It is shown first, with chance and the majority answer.
    headline: bool = False

    def rows(self, results: Results) -> Iterable[Figure]:
        return (self.aggregate or mean_by_variant)(self, results)


def mean_by_variant(metric: Metric, results: Results) -> Iterator[ReportRow]:
    """The mean of the metric's values under each variant in which any response has one."""
    for variant, members in results.by_variant():
        applicable = [r for r in members if metric.name in r.score.values or _lacks_value(metric, results, r)]
        if any(r.response.error is None for r in applicable):
            yield mean_row(metric, variant, applicable, lambda r: r.score.values.get(metric.name))


def _lacks_value(metric: Metric, results: Results, result: Result) -> bool:
    """Whether the response should have a value of this metric: its request or the metric failed."""
    if result.response.error is None:
        return result.score.key in results.failures.get(_name(metric), ())
    applies = results.attempt(_name(metric), result, lambda: metric.applies(results, result))
    return applies or False


def _name(metric: Metric) -> str:
    return f"metric {metric.name}"


def mean_row(
    metric: Metric,
    variant: Variant,
    members: Sequence[Result],
    value: Callable[[Result], float | None],
    *,
    detail: str = "",
    group: str = "",
    member: str = "",
) -> ReportRow:
    """The mean of a value over these responses with its 95 % interval.

    The value is None for a response whose request failed: the mean excludes it, but the interval covers every
    value that it could have had.
    """
    instances = by_instance(members)
    values = [[value(result) for result in samples] for samples in instances]
    mean, low, high = estimate(values, metric.unit.bounds, clusters_of(instances))
    return ReportRow(
        variant=variant.name,
        metric=metric.name,
        mean=mean,
        low=low,
        high=high,
        n=sum(one is not None for instance in values for one in instance),
        unparsed=sum(r.score.reason == "unparsed" for r in members),
        truncated=sum(r.response.finish_reason == "length" for r in members),
        errors=sum(r.response.error is not None for r in members),
        detail=detail,
        group=group,
        member=member,
    )


def natural(text: str) -> list[tuple[int, int, str]]:
    """A sort key that puts "leaf 10" after "leaf 9", for any number of digits."""
    pieces = [(p, p.lstrip("0")) for p in re.split(r"([0-9]+)", text) if p]
    return [(0, len(digits), digits) if p[0] in "0123456789" else (1, 0, p) for p, digits in pieces]


@cache
def installed() -> dict[str, Metric]:
    """Every registered metric by its name: headlines first, then in alphabetical order."""
    names = registry.names(registry.METRICS)
    metrics: list[Metric] = [registry.load(registry.METRICS, name) for name in names]
    for name, metric in zip(names, metrics, strict=True):
        if not isinstance(metric, Metric):
            raise UserError(f"metric {name}: expected a harness.metrics.metric.Metric, got {metric!r}")
    titles = [metric.name for metric in metrics]
    if twice := {title for title in titles if titles.count(title) > 1}:
        raise UserError(
            f"metrics: expected different names, got {min(twice)!r} twice; rename one of the metrics"
        )
    return {m.name: m for m in sorted(metrics, key=lambda m: (m.name != "accuracy", not m.headline, m.name))}


def find(label: str) -> Quantity:
    """The metric that a row's label names, such as "accuracy" or "part: tool"; a plain number if unknown."""
    metric = installed().get(label) or installed().get(label.partition(DETAIL)[0])
    return metric or Quantity(name=label, explanation="", unit=NUMBER, direction="neither")


def with_unit(label: str) -> str:
    """A row's label with the unit of its metric, such as "part: tool (%)"."""
    return replace(find(label), name=label).title


def with_values(results: Results) -> Results:
    """The same results, each score with the values that the installed metrics give its response."""
    valued = [replace(r, score=replace(r.score, values=_values(results, r))) for r in results.results]
    return replace(results, results=valued)


def _values(results: Results, result: Result) -> dict[str, float]:
    if result.response.error is not None:
        return {}
    computed = {
        name: results.attempt(_name(metric), result, partial(_value, metric, results, result))
        for name, metric in installed().items()
        if metric.value is not None
    }
    return {name: value for name, value in computed.items() if value is not None}


def _value(metric: Metric, results: Results, result: Result) -> float | None:
    """The metric's value. Raises ValueError if it is outside of its unit's bounds."""
    value = metric.value(results, result) if metric.value is not None else None
    if value is None:
        return None
    low, high = metric.unit.bounds or (-sys.float_info.max, sys.float_info.max)
    if not low <= value <= high:
        raise ValueError(f"expected a value from {low:g} to {high:g}, got {value!r}")
    return float(value)


def measure(results: Results) -> Iterator[Figure]:
    """The rows of every installed metric."""
    for metric in installed().values():
        rows = partial(_rows, metric, results)
        yield from results.attempt(_name(metric), None, rows) or ()


def _rows(metric: Metric, results: Results) -> list[Figure]:
    return [_checked(figure) for figure in metric.rows(results)]


def _checked(figure: Figure) -> Figure:
    """The same figure with printable labels. Raises an exception if it cannot be stored and drawn."""
    if isinstance(figure, ReportRow):
        detail, group, member = map(printable, (figure.detail, figure.group, figure.member))
        figure = replace(figure, detail=detail, group=group, member=member)
    else:
        figure = replace(figure, rules=tuple(map(printable, figure.rules)))
    numbers = (value for value in asdict(figure).values() if isinstance(value, float))
    if figure.variant not in VARIANTS or not all(map(math.isfinite, numbers)):
        raise ValueError(f"expected one of {', '.join(VARIANTS)} and finite figures, got {figure}")
    return msgspec.json.decode(msgspec.json.encode(figure), type=type(figure))
