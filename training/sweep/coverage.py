"""Accuracy on questions whose right answer a model has seen in a chain of thought, and on all others.

The first shows what the model has learned from its chains; the second, what else it knows of the policy.
"""

from collections.abc import Collection
from pathlib import Path
from statistics import fmean
from typing import NamedTuple

from harness.files import store
from harness.files.benchmark import Benchmark
from harness.records import Instance, Score


class MeanOf(NamedTuple):
    """An accuracy, and on how many scores."""

    mean: float
    n: int


# By variant, then by "covered" or "uncovered".
Coverage = dict[str, dict[str, MeanOf]]


def accuracy_by_coverage(benchmark: Benchmark, chains: Collection[str], run: Path) -> Coverage:
    """Accuracy of a run on the test split by variant and kind of question, if there are any of the kind.

    `chains` are the ids of the training instances that have a chain. A question is covered if one of them has
    the same policy and the same right answer, under its own policy even if another is in the prompt.
    """

    def answer(instance: Instance) -> tuple[str | None, str]:
        return instance.policy_id, instance.target

    covered = {answer(i) for i in benchmark.instances("train") if i.id in chains}
    kinds = {i.id: "covered" if answer(i) in covered else "uncovered" for i in benchmark.instances("test")}
    values: dict[str, dict[str, list[float]]] = {}
    for score in store.read_lines(run / "scores.jsonl", Score):
        if score.value is not None:
            of_variant = values.setdefault(score.variant, {})
            of_variant.setdefault(kinds[score.instance], []).append(score.value)
    return {
        variant: {kind: MeanOf(fmean(of_kind), len(of_kind)) for kind, of_kind in sorted(kinds_.items())}
        for variant, kinds_ in values.items()
    }
