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

import numpy as np

from harness.metrics.metric import Metric, mean_row, natural
from harness.records import Distribution, ReportRow
from harness.results import Result, Results
from harness.stats.clusters import cluster, clusters
from harness.stats.intervals import estimate
from harness.variants import Variant

# The rules that the responses to one instance should cite, and the rules that they do cite. Both are empty if
# all requests failed.
Counts = tuple[Counter[str], Counter[str]]
# Replaces the name of every rule that does not exist. No response should cite any of them, so counting them
# together does not change the distance.
NONEXISTENT = ""


def by_variant(metric: Metric, results: Results) -> Iterator[ReportRow | Distribution]:
    for variant, members in results.by_variant():
        gold: Counter[str] = Counter()
        cited: Counter[str] = Counter()
        instances: dict[str, Counts] = {}
        for result in members:
            rules = results.gold_rules(result)
            if not rules:
                continue
            should, does = instances.setdefault(result.instance.id, (Counter(), Counter()))
            rules_cited = None if result.response.text is None else results.cited_rules(result)
            if rules_cited is None:
                continue
            exists = {rule.rule: rule.exists for rule in rules_cited}
            gold.update(rules)
            cited.update(exists.keys())
            should.update(rules)
            does.update(rule if exists[rule] else NONEXISTENT for rule in exists)
        if gold:
            yield _row(metric, variant, members, instances)
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


def _row(
    metric: Metric, variant: Variant, members: Sequence[Result], instances: Mapping[str, Counts]
) -> ReportRow:
    """The distance, with the interval of the mean of its linearized values.

    To first order, the distance is the mean of what each instance adds to it: half the sum over rules of the
    sign of the difference of the shares times the instance's excess counts (Deville 1999).
    """
    rules = sorted({rule for counts in instances.values() for side in counts for rule in side})
    counts_I2R, columns = np.zeros((len(instances), 2, len(rules))), {rule: i for i, rule in enumerate(rules)}
    for counts_2R, counts in zip(counts_I2R, instances.values(), strict=True):
        for counts_R, side in zip(counts_2R, counts, strict=True):
            for rule, count in side.items():
                counts_R[columns[rule]] = count
    row = mean_row(metric, variant, members, lambda r: None if r.response.error is not None else 0.0)
    totals_2 = counts_I2R.sum(axis=(0, 2))
    if not totals_2[1]:  # nothing is cited, so there is no distribution to compare
        return replace(row, mean=None, low=0.0, high=1.0)
    shares_2R = counts_I2R.sum(axis=0) / totals_2[:, None]
    difference_R = shares_2R[0] - shares_2R[1]
    mean = float(np.abs(difference_R).sum() / 2)
    answered_I = counts_I2R[:, 0].sum(axis=1) > 0
    excess_I2R = counts_I2R - shares_2R * counts_I2R.sum(axis=2, keepdims=True)
    excess_I2R *= answered_I.sum() / totals_2[:, None]
    values_I = mean + (excess_I2R[:, 0] - excess_I2R[:, 1]) @ np.sign(difference_R) / 2
    values = [[float(value) if known else None] for value, known in zip(values_I, answered_I, strict=True)]
    by_id = {r.instance.id: r.instance for r in members}
    _, low, high = estimate(values, clusters=clusters(cluster(by_id[instance]) for instance in instances))
    return replace(row, mean=mean, low=low, high=high)


BRANCHING = Metric(
    name="branching",
    explanation="How far the cited rules are from those that lead to the correct answers: 0 if both "
    "have the same distribution, 100 if they share no rule.",
    direction="lower",
    aggregate=by_variant,
)
