"""How far the rules that responses cite are from the rules that they should cite (paper, Figure 14).

For each rule we count how many responses cite it, and how many need it for their correct answer. A response
counts once, however often it names a rule. The paper's figure is the mean absolute difference of the two
counts over all rules that occur [ours: the paper does not say whether it means counts or shares, but its
39.74 for 2,000 instances can only be counts]. This figure grows with the number of responses. So the
ReportRow contains the total variation distance of the two distributions, and the Distribution the counts.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from harness.metrics.metric import Metric, mean_row, natural
from harness.records import Distribution, ReportRow
from harness.results import Result, Results, by_instance, clusters_of
from harness.stats.intervals import Clusters, Estimate, estimate
from harness.variants import Variant

# The rules that a response should cite, and those that it does cite, with whether they exist; None for a
# failed request, or if the family fails.
Rules = tuple[tuple[str, ...], tuple[tuple[str, bool], ...] | None]
# How many different instances are linearized at a time, which limits the memory.
AT_ONCE = 10_000
# Replaces the name of every rule that does not exist. No response should cite any of them, so counting them
# together does not change the distance.
NONEXISTENT = ""


def rules_of(results: Results, result: Result) -> Rules | None:
    """None if no rule leads to the correct answer."""
    should = results.gold_rules(result)
    if not should:
        return None
    cited = None if result.response.text is None else results.cited_rules(result)
    if cited is None:
        return tuple(should), None
    return tuple(should), tuple({rule.rule: rule.exists for rule in cited}.items())


def by_variant(metric: Metric, results: Results) -> Iterator[ReportRow | Distribution]:
    kept = metric.of
    for variant, members in results.by_variant():
        governed = [scored for scored in members if kept(scored) is not None]
        counted = [(should, does) for should, does in map(kept, governed) if does is not None]
        gold = Counter(rule for should, _ in counted for rule in should)
        if gold:
            cited = Counter(rule for _, does in counted for rule, _ in does)
            instances = by_instance(governed)
            rules = [tuple(kept(scored) for scored in samples) for samples in instances]
            mean, low, high = _distance(rules, clusters_of(instances))
            row = mean_row(metric, variant, governed, lambda scored: None if kept(scored)[1] is None else 0.0)
            yield replace(row, mean=mean, low=low, high=high)
            yield _distribution(variant, gold, cited)


def _distribution(variant: Variant, gold: Counter[str], cited: Counter[str]) -> Distribution:
    rules = tuple(sorted(gold.keys() | cited.keys(), key=natural))
    return Distribution(
        variant=variant.name,
        rules=rules,
        gold=tuple(gold[rule] for rule in rules),
        cited=tuple(cited[rule] for rule in rules),
        difference=sum(abs(cited[rule] - gold[rule]) for rule in rules) / len(rules),
    )


def _distance(instances: Sequence[tuple[Rules, ...]], belonging: Clusters) -> Estimate:
    """The distance, with the interval of the mean of its linearized values.

    `instances` has the rules of each instance's responses, and `belonging` which instances belong together.

    To first order, the distance is the mean of what each instance adds to it: half the sum over rules of the
    sign of the difference of the shares times the instance's excess counts (Deville 1999). Many instances
    have the same rules, so this is computed once for each different one.
    """
    times = Counter(instances)
    rules = sorted({rule for samples in times for _, rule in _counted(samples)})
    columns = {rule: index for index, rule in enumerate(rules)}
    different = list(times)
    chunks = [different[start : start + AT_ONCE] for start in range(0, len(different), AT_ONCE)]
    total_2R = np.zeros((2, len(rules)))
    answered = 0
    for chunk in chunks:
        counts_I2R, times_I = _counts(chunk, columns), np.array([times[samples] for samples in chunk])
        total_2R += np.tensordot(times_I, counts_I2R, axes=1)
        answered += int(times_I[counts_I2R[:, 0].any(axis=1)].sum())
    totals_2 = total_2R.sum(axis=1)
    if not totals_2[1]:  # nothing is cited, so there is no distribution to compare
        return Estimate(None, 0.0, 1.0)
    shares_2R = total_2R / totals_2[:, None]
    difference_R = shares_2R[0] - shares_2R[1]
    mean = float(np.abs(difference_R).sum() / 2)
    values: dict[tuple[Rules, ...], list[float | None]] = {}
    for chunk in chunks:
        counts_I2R = _counts(chunk, columns)
        excess_I2R = counts_I2R - shares_2R * counts_I2R.sum(axis=2, keepdims=True)
        excess_I2R *= answered / totals_2[:, None]
        values_I = mean + (excess_I2R[:, 0] - excess_I2R[:, 1]) @ np.sign(difference_R) / 2
        for samples, value, counts_2R in zip(chunk, values_I, counts_I2R, strict=True):
            values[samples] = [float(value) if counts_2R[0].any() else None]
    return Estimate(mean, *estimate([values[samples] for samples in instances], clusters=belonging)[1:])


def _counted(samples: Sequence[Rules]) -> Iterator[tuple[int, str]]:
    """Each rule that the responses to an instance should cite (0), and each that they do cite (1)."""
    for should, does in samples:
        if does is not None:
            yield from ((0, rule) for rule in should)
            yield from ((1, rule if exists else NONEXISTENT) for rule, exists in does)


def _counts(
    instances: Sequence[Sequence[Rules]], columns: Mapping[str, int]
) -> np.ndarray[Any, np.dtype[np.float64]]:
    """How often the responses to each instance should cite and do cite each rule (I2R)."""
    counts_I2R = np.zeros((len(instances), 2, len(columns)))
    for counts_2R, samples in zip(counts_I2R, instances, strict=True):
        for side, rule in _counted(samples):
            counts_2R[side, columns[rule]] += 1
    return counts_I2R


BRANCHING = Metric(
    name="branching",
    explanation="How far the cited rules are from those that lead to the correct answers: 0 if both "
    "have the same distribution, 100 if they share no rule.",
    direction="lower",
    observe=rules_of,
    aggregate=by_variant,
)
