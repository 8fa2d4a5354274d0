"""What is measured on scored responses: one file a metric, registered under the group harness.metrics."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Protocol

from harness import registry
from harness.records import Distribution, ReportRow
from harness.results import Result, Results
from harness.stats.intervals import estimate
from harness.variants import Variant

SCORES = "accuracy", "pass^", "pass@", "majority of"
"""How the names of metrics of the answers themselves begin; they are shown first and apart."""


class Metric(Protocol):
    def __call__(self, results: Results) -> Sequence[ReportRow | Distribution]: ...


def measure(results: Results) -> Iterator[ReportRow | Distribution]:
    """The figures of every metric that is installed."""
    metrics: list[Metric] = [
        registry.load(registry.METRICS, name) for name in registry.names(registry.METRICS)
    ]
    for metric in metrics:
        yield from metric(results)


def mean_row(
    variant: Variant,
    metric: str,
    members: Sequence[Result],
    value: Callable[[Result], float | None],
    group: str = "",
    member: str = "",
) -> ReportRow:
    """The mean of a value over these responses; None is one that could not be had, as of a failed request."""
    values = by_instance(members, value)
    mean, low, high = estimate(values)
    return ReportRow(
        variant=variant.name,
        metric=metric,
        mean=mean,
        low=low,
        high=high,
        n=sum(one is not None for unit in values for one in unit),
        unparsed=sum(r.score.reason == "unparsed" for r in members),
        truncated=sum(r.response.finish_reason == "length" for r in members),
        errors=sum(r.response.error is not None for r in members),
        group=group,
        member=member,
    )


def by_instance(
    members: Sequence[Result], value: Callable[[Result], float | None]
) -> list[list[float | None]]:
    """The values of each instance's samples."""
    units: dict[str, list[float | None]] = {}
    for result in members:
        units.setdefault(result.instance.id, []).append(value(result))
    return list(units.values())


def looked_up(values: Mapping[tuple[str, str, int], float | None]) -> Callable[[Result], float | None]:
    """The value of a response by its key, for mean_row."""
    return lambda result: values[result.score.key]
