"""The mean of the accuracies of all groups, so that a large category counts no more than a small one.

Only for benchmarks without policies, some of which publish figures of this kind.
"""

import math
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from statistics import fmean

from harness.metrics.metric import Metric, mean_row
from harness.records import ReportRow
from harness.results import Result, Results, by_instance, clusters_of
from harness.stats.intervals import estimate


def over_groups(metric: Metric, results: Results) -> Iterator[ReportRow]:
    for variant, members in results.by_variant():
        if any(result.instance.policy_id is not None for result in members):
            continue
        groups: dict[str, dict[str, list[Result]]] = defaultdict(lambda: defaultdict(list))
        for result in members:
            for name, member in results.groups(result).items():
                groups[name][member].append(result)
        for name, parts in groups.items():
            row = mean_row(metric, variant, members, lambda r: r.score.value, detail=f"over {name}")
            mean, low, high = _mean_of_means(list(parts.values()))
            yield replace(row, mean=mean, low=low, high=high)


def _mean_of_means(parts: list[list[Result]]) -> tuple[float | None, float, float]:
    """Combines the intervals of independent groups by adding squares (Zou and Donner 2008)."""
    groups = [by_instance(part) for part in parts]
    estimates = [estimate([[r.score.value for r in s] for s in g], clusters=clusters_of(g)) for g in groups]
    means = [e.mean for e in estimates if e.mean is not None]
    if len(means) < len(estimates):
        return None, 0.0, 1.0
    mean = fmean(means)
    below, above = (
        math.sqrt(math.fsum((m - bound) ** 2 for m, bound in zip(means, bounds, strict=True))) / len(means)
        for bounds in ([e.low or 0.0 for e in estimates], [e.high or 0.0 for e in estimates])
    )
    return mean, mean - below, mean + above


MACRO_ACCURACY = Metric(
    name="macro accuracy",
    explanation="The mean of the accuracies of all groups, each counted once whatever its size.",
    aggregate=over_groups,
    headline=True,
)
