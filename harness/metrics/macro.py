"""The mean over groups of their accuracies, so that a large category counts no more than a small one.

For benchmarks without policies, whose published figures are sometimes of this kind.
"""

from __future__ import annotations

import math
from collections import defaultdict
from dataclasses import replace

from harness.metrics import by_instance, mean_row
from harness.records import ReportRow
from harness.results import Result, Results
from harness.stats.intervals import estimate


def macro(results: Results) -> list[ReportRow]:
    rows = []
    for variant, members in results.by_variant():
        if any(result.instance.policy_id is not None for result in members):
            continue
        groups: dict[str, dict[str, list[Result]]] = defaultdict(lambda: defaultdict(list))
        for result in members:
            for name, member in results.benchmark.family_of(result.instance).groups(result.instance, variant).items():
                groups[name][member].append(result)
        for name, parts in groups.items():
            row = mean_row(variant, f"accuracy (macro over {name})", members, _value)
            mean, low, high = _over(list(parts.values()))
            rows.append(replace(row, mean=mean, low=low, high=high))
    return rows


def _over(parts: list[list[Result]]) -> tuple[float | None, float, float]:
    """The groups' intervals combined by adding squares (Zou and Donner 2008, for independent groups)."""
    estimates = [estimate(by_instance(part, _value)) for part in parts]
    means = [e.mean for e in estimates if e.mean is not None]
    if len(means) < len(estimates):
        return None, 0.0, 1.0
    mean = math.fsum(means) / len(means)
    below, above = (
        math.sqrt(math.fsum((m - bound) ** 2 for m, bound in zip(means, bounds, strict=True))) / len(means)
        for bounds in ([e.low for e in estimates], [e.high for e in estimates])
    )
    return mean, mean - below, mean + above


def _value(result: Result) -> float | None:
    return result.score.value
