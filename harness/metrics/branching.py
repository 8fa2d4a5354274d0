"""How far the rules that responses cite are from those that they should (paper, Figure 14).

For each rule: how many responses cite it, against how many have it on the way to their right answer, over the
same responses; a response counts once, however often it names a rule. The paper's figure is the mean
absolute difference of the two counts over the rules that occur in either [ours: it does not say whether
counts or shares, but its 39.74 for 2,000 instances can only be counts]. That grows with the number of
responses, so the row has the distance of the two as shares of all citations (total variation: 0 is the same,
1 nothing in common), which has no value where nothing is cited.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import numpy.typing as npt

from harness.metrics import mean_row
from harness.records import Distribution, ReportRow
from harness.report.plots import natural
from harness.results import Result, Results
from harness.seeds import rng
from harness.stats.intervals import middle, resampled
from harness.variants import Variant

Array = npt.NDArray[np.float64]
NONEXISTENT = ""
"""Stands for every rule that does not exist: gold has none of them, so the distance is the same."""


def branching(results: Results) -> list[ReportRow | Distribution]:
    figures: list[ReportRow | Distribution] = []
    for variant, members in results.by_variant():
        answered = [r for r in members if r.response.text is not None]
        gold: Counter[str] = Counter()
        cited: Counter[str] = Counter()
        units: dict[str, tuple[Counter[str], Counter[str]]] = {}
        for result in answered:
            path = results.benchmark.family_of(result.instance).gold_rules(result.instance, variant)
            if not path:
                continue
            claims = results.benchmark.family.cited_rules(
                result.instance, variant, result.response.text or ""
            )
            gold.update(path)
            named = {claim.rule: claim.exists for claim in claims}
            cited.update(named.keys())
            should, does = units.setdefault(result.instance.id, (Counter(), Counter()))
            should.update(path)
            does.update(rule if exists else NONEXISTENT for rule, exists in named.items())
        if units:
            figures += [_row(variant, members, list(units.values())), _distribution(variant, gold, cited)]
    return figures


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
    variant: Variant, members: Sequence[Result], units: Sequence[tuple[Counter[str], Counter[str]]]
) -> ReportRow:
    """The distance with an interval from resampling instances."""
    rules = sorted({rule for unit in units for side in unit for rule in side})
    counts = np.array([[[side[rule] for rule in rules] for side in unit] for unit in units], float)
    row = mean_row(variant, "branching", members, lambda r: None if r.response.error is not None else 0.0)
    if not counts[:, 1].any():
        return replace(row, mean=None, low=0.0, high=1.0)
    mean = float(_distance(counts.sum(axis=0)))
    resamples = resampled(counts.reshape(len(units), -1), rng(0, "branching")).reshape(-1, 2, len(rules))
    low, high = middle(_distance(resamples))
    return replace(row, mean=mean, low=min(low, mean), high=max(high, mean))


def _distance(counts: Array) -> Array:
    """(...) total variation between the two rows of (..., 2, rules) counts, each as shares of its sum."""
    shares = counts / np.maximum(counts.sum(axis=-1, keepdims=True), 1e-12)
    result: Array = np.abs(shares[..., 0, :] - shares[..., 1, :]).sum(axis=-1) / 2
    return result
