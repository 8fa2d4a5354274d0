"""The mean of the accuracies of all groups, so that a large category counts no more than a small one.

Only for benchmarks without policies, some of which publish figures of this kind.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from statistics import fmean

from harness.metrics.metric import Metric, mean_row
from harness.records import ReportRow
from harness.results import Result, Results, Scored, by_instance, clusters_of
from harness.stats.intervals import estimate, interval


def groups(results: Results, result: Result) -> tuple[tuple[str, str], ...] | None:
    """None if the instance has a policy."""
    return None if result.instance.policy_id is not None else tuple(results.groups(result).items())


def over_groups(metric: Metric, results: Results) -> Iterator[ReportRow]:
    kept = metric.of
    for variant, members in results.by_variant():
        if any(kept(scored) is None for scored in members):
            continue
        by_name: dict[str, dict[str, list[Scored]]] = defaultdict(lambda: defaultdict(list))
        for scored in members:
            for name, member in kept(scored):
                by_name[name][member].append(scored)
        for name, parts in by_name.items():
            row = mean_row(metric, variant, members, lambda scored: scored.value, detail=f"over {name}")
            mean, low, high = _mean_of_means(list(parts.values()))
            yield replace(row, mean=mean, low=low, high=high)


def _mean_of_means(parts: list[list[Scored]]) -> tuple[float | None, float, float]:
    """The mean over groups, and its interval as a mean over instances that have the weights of their groups.

    Intervals of single groups are not combined: below 30 instances per group the result is too narrow.
    """
    groups = [by_instance(part) for part in parts]
    instances = [samples for group in groups for samples in group]
    means = [estimate([[scored.value for scored in samples] for samples in group]).mean for group in groups]
    known = [mean for mean in means if mean is not None]
    weights = [len(instances) / len(groups) / len(group) for group in groups for _ in group]

    def bounds(missing: float) -> tuple[float, float]:
        values = [
            fmean(missing if scored.value is None else scored.value for scored in samples)
            for samples in instances
        ]
        return interval(values, clusters=clusters_of(instances), weights=weights)

    low, high = bounds(0.0)[0], bounds(1.0)[1]
    if len(known) < len(means):
        return None, low, high
    mean = fmean(known)
    # Rounding errors of the weights could exclude the mean.
    return mean, min(low, mean), max(high, mean)


MACRO_ACCURACY = Metric(
    name="macro accuracy",
    explanation="The mean of the accuracies of all groups, each counted once whatever its size.",
    observe=groups,
    aggregate=over_groups,
    headline=True,
)
