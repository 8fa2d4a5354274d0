"""The instances that a run scores: all of a split, or the random sample that `--limit` draws.

The sample is the same for every model, and a larger limit extends a smaller one. Every instance is equally
likely to be drawn. Images, groups and policies are represented in proportion to their size, because a split
is often sorted by them (systematic sampling with a random start; Cochran, Sampling Techniques, 1977).
"""

from collections.abc import Hashable, Mapping, Sequence
from random import Random

from harness.files.benchmark import Benchmark
from harness.records import Instance, Run
from harness.seeds import rng
from harness.stats.clusters import cluster
from harness.variants import INTERNALIZED


def scored_instances(benchmark: Benchmark, run: Run, instances: list[Instance]) -> list[Instance]:
    """Those of a split's instances that a run scores, in their order."""
    if run.limit is None or not run.sampled:
        return instances[: run.limit]
    draws = rng(0, "limit")
    order = sorted(range(len(instances)), key=lambda _: draws.random())
    for name, labels in _labels(benchmark, instances).items():
        order = _in_proportion(order, labels, rng(0, "limit", name))
    return [instances[index] for index in sorted(order[: run.limit])]


def _labels(benchmark: Benchmark, instances: Sequence[Instance]) -> dict[str, Sequence[Hashable]]:
    """By what the sample is in proportion, the most important last: the label of each instance."""
    groups = [_groups(benchmark, instance) for instance in instances]
    names = reversed(list(dict.fromkeys(name for of_one in groups for name in of_one)))
    labels: dict[str, Sequence[Hashable]] = {"images": [cluster(i).images or i.id for i in instances]}
    labels |= {f"group {name}": [of_one.get(name) for of_one in groups] for name in names}
    return labels | {"policy": [i.policy_id for i in instances]}


def _groups(benchmark: Benchmark, instance: Instance) -> Mapping[str, str]:
    try:
        return benchmark.family_of(instance).groups(instance, INTERNALIZED)
    # A family is third-party code. The report, which asks for the groups again, says what failed.
    except Exception:
        return {}


def _in_proportion(order: Sequence[int], labels: Sequence[Hashable], draws: Random) -> list[int]:
    """Reorders indices so that every prefix has each label in proportion. The order within a label stays."""
    members: dict[Hashable, list[int]] = {}
    for index in order:
        members.setdefault(labels[index], []).append(index)
    place: dict[int, float] = {}
    for indices in members.values():
        start = draws.random()
        place |= {index: (rank + start) / len(indices) for rank, index in enumerate(indices)}
    return sorted(order, key=place.__getitem__)
