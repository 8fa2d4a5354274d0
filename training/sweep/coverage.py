"""Accuracy on questions whose right answer a model has seen in a chain of thought, and on all others.

The first shows what the model has learned from its chains; the second, what else it knows of the policy.
"""

from collections.abc import Collection
from pathlib import Path
from statistics import fmean

from harness.files import store
from harness.files.benchmark import Benchmark
from harness.records import Instance, Score
from harness.variants import INTERNALIZED


def accuracy_by_coverage(benchmark: Benchmark, chains: Collection[str], run: Path) -> dict[str, float]:
    """Internalized accuracy of a run on the test split by kind of question, if there are any of the kind.

    `chains` are the ids of the training instances that have a chain. A question is covered if one of them has
    the same policy and the same right answer.
    """

    def answer(instance: Instance) -> tuple[str | None, str]:
        return instance.policy_id, instance.target

    covered = {answer(i) for i in benchmark.instances("train") if i.id in chains}
    kinds = {i.id: "covered" if answer(i) in covered else "uncovered" for i in benchmark.instances("test")}
    values: dict[str, list[float]] = {}
    for score in store.read_lines(run / "scores.jsonl", Score):
        if score.variant == INTERNALIZED.name and score.value is not None:
            values.setdefault(kinds[score.instance], []).append(score.value)
    return {kind: fmean(of_kind) for kind, of_kind in values.items()}
