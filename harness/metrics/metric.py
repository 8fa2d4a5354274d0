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
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from enum import Enum
from functools import cache, partial
from typing import Any, Literal

import msgspec

from harness import registry
from harness.errors import UserError
from harness.records import Cluster, Distribution, ReportRow, Score
from harness.results import Result, Results, Scored, by_instance, clusters_of
from harness.stats.intervals import estimate
from harness.stats.usage import UsageSums
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
    """A quantity that is measured on scored responses, each of which is shown to it once.

    Most metrics define `value`, the value of one response; the figure is then its mean by variant. The others
    define `observe`, what to keep of one response, and `aggregate`, which turns what was kept into rows.
    """

    # Returns None for a response to which the metric does not apply. Never called for a failed request.
    value: Callable[[Results, Result], float | None] | None = None
    # Whether a failed request could have had a value.
    applies: Callable[[Results, Result], bool] = lambda _results, _result: True
    # Returns something small that can be hashed, because equal observations are kept once. Also called for
    # failed requests.
    observe: Callable[[Results, Result], Hashable] = lambda _results, _result: None
    aggregate: Callable[[Metric, Results], Iterable[Figure]] | None = None
    # A score of the answers themselves. It is shown first, with chance and the majority answer.
    headline: bool = False

    def rows(self, results: Results) -> Iterable[Figure]:
        return (self.aggregate or mean_by_variant)(self, results)

    @property
    def of(self) -> Callable[[Scored], Any]:
        """Returns what this metric kept of a response."""
        place = list(installed()).index(self.name)
        return lambda scored: scored.observed[place]


class _Missing(Enum):
    """What is kept in place of a value that exists but is not known."""

    MISSING = 0


MISSING = _Missing.MISSING


def mean_by_variant(metric: Metric, results: Results) -> Iterator[ReportRow]:
    """The mean of the metric's values under each variant in which any response has one."""
    kept = metric.of
    for variant, members in results.by_variant():
        applicable = [scored for scored in members if kept(scored) is not None]
        if not all(scored.failed for scored in applicable):
            yield mean_row(
                metric, variant, applicable, lambda s: None if (value := kept(s)) is MISSING else value
            )


def collect(results: Results, found: Iterable[Result]) -> Iterator[Score]:
    """Shows each result to the installed metrics, and adds what they keep of it to the results.

    Yields its score with the values of the metrics.
    """
    metrics = list(installed().values())
    # What many results share is kept once.
    clusters: dict[str, tuple[str, Cluster]] = {}
    shared: dict[Hashable, Any] = {}
    for result in found:
        score, response = result.score, result.response
        observed = tuple([_observed(metric, results, result) for metric in metrics])
        results.sums.setdefault(result.variant.name, UsageSums()).add(response)
        known = score.cluster or Cluster()
        images = shared.setdefault(known.images, known.images)
        policy = shared.setdefault(known.policy, known.policy)
        instance, cluster = clusters.setdefault(score.instance, (score.instance, Cluster(images, policy)))
        results.scored.append(
            Scored(
                instance,
                cluster,
                result.variant,
                score.sample,
                shared.setdefault(score.value, score.value),
                shared.setdefault(score.reason, score.reason),
                result.failed,
                response.finish_reason == "length",
                shared.setdefault(observed, observed),
            )
        )
        values = {
            metric.name: value
            for metric, value in zip(metrics, observed, strict=True)
            if metric.value is not None and value is not None and value is not MISSING
        }
        yield replace(score, values=values)


def _observed(metric: Metric, results: Results, result: Result) -> Any:
    # Not `Results.attempt`, because a function for each metric and response takes longer than most metrics.
    try:
        if metric.value is None:
            observation = metric.observe(results, result)
            hash(observation)
            return observation
        if result.failed:
            return MISSING if metric.applies(results, result) else None
        return _value(metric, results, result)
    # Metrics are third-party code, so any exception may occur.
    except Exception as error:
        results.record_failure(_name(metric), result, error)
        return None if metric.value is None or result.failed else MISSING


def _name(metric: Metric) -> str:
    return f"metric {metric.name}"


def mean_row(
    metric: Metric,
    variant: Variant,
    members: Sequence[Scored],
    value: Callable[[Scored], float | None],
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
    values = [[value(scored) for scored in samples] for samples in instances]
    mean, low, high = estimate(values, metric.unit.bounds, clusters_of(instances))
    return ReportRow(
        variant=variant.name,
        metric=metric.name,
        mean=mean,
        low=low,
        high=high,
        n=sum(one is not None for instance in values for one in instance),
        unparsed=sum(scored.reason == "unparsed" for scored in members),
        truncated=sum(scored.truncated for scored in members),
        errors=sum(scored.failed for scored in members),
        detail=detail,
        group=group,
        member=member,
    )


def rows_by_part(metric: Metric, results: Results, parts: Sequence[str]) -> Iterator[ReportRow]:
    """For each variant, the mean of each part of what was observed: a tuple, or () for a failed request."""
    if any(metric.of(scored) is None for scored in results.scored):
        return
    for variant, members in results.by_variant():
        for index, part in enumerate(parts):

            def value(scored: Scored, index: int = index) -> float | None:
                return metric.of(scored)[index] if metric.of(scored) else None

            yield mean_row(metric, variant, members, value, detail=part)


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
