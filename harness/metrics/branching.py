"""How far the rules that responses cite are from the rules that they should cite (paper, Figure 14).

For each rule we count how many responses cite it, and how many need it for their correct answer. A response
counts once, however often it names a rule. The paper's figure is the mean absolute difference of the two
counts over all rules that occur [ours: the paper does not say whether it means counts or shares, but its
39.74 for 2,000 instances can only be counts]. This figure grows with the number of responses. So the
ReportRow contains the total variation distance of the two distributions, and the Distribution the counts.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from harness.metrics.metric import Metric, mean_row, natural
from harness.records import Distribution, ReportRow
from harness.results import Result, Results
from harness.seeds import rng
from harness.stats.intervals import middle, resampled
from harness.variants import Variant

Array = npt.NDArray[np.float64]
# The rules that the responses to one instance should cite, and the rules that they do cite.
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
            if (
                result.response.text is None
                or not rules
                or (rules_cited := results.cited_rules(result)) is None
            ):
                continue
            exists = {rule.rule: rule.exists for rule in rules_cited}
            gold.update(rules)
            cited.update(exists.keys())
            should, does = instances.setdefault(result.instance.id, (Counter(), Counter()))
            should.update(rules)
            does.update(rule if exists[rule] else NONEXISTENT for rule in exists)
        if instances:
            yield _row(metric, variant, members, list(instances.values()))
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
    metric: Metric, variant: Variant, members: Sequence[Result], instances: Sequence[Counts]
) -> ReportRow:
    """The distance, with an interval from resampling instances."""
    rules = sorted({rule for counts in instances for side in counts for rule in side})
    counts_I2R = np.zeros((len(instances), 2, len(rules)))
    for index, (should, does) in enumerate(instances):
        counts_I2R[index, 0] = [should[rule] for rule in rules]
        counts_I2R[index, 1] = [does[rule] for rule in rules]
    row = mean_row(metric, variant, members, lambda r: None if r.response.error is not None else 0.0)
    if not counts_I2R[:, 1].any():  # nothing is cited, so there is no distribution to compare
        return replace(row, mean=None, low=0.0, high=1.0)
    mean = float(_distance(counts_I2R.sum(axis=0)))
    flat = resampled(counts_I2R.reshape(len(instances), -1), rng(0, "branching"))
    low, high = middle(_distance(flat.reshape(-1, 2, len(rules))))
    return replace(row, mean=mean, low=min(low, mean), high=max(high, mean))


def _distance(counts: Array) -> Array:
    """(...) total variation between the two rows of (..., 2, rules) counts, each as shares of its sum."""
    shares = counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1e-12)
    result: Array = np.abs(shares[..., 0, :] - shares[..., 1, :]).sum(axis=-1) / 2
    return result


BRANCHING = Metric(
    name="branching",
    explanation="How far the cited rules are from those that lead to the correct answers: 0 if both "
    "have the same distribution, 100 if they share no rule.",
    direction="lower",
    aggregate=by_variant,
)
