"""The instances that a run scores: all of a split, or the random sample that `--limit` draws.

The sample is the same for every model, and a larger limit extends a smaller one. Every instance is equally
likely to be drawn. Images, groups and policies are represented in proportion to their size, because a split
is often sorted by them (systematic sampling with a random start; Cochran, Sampling Techniques, 1977). A
benchmark of several blocks is sampled in proportion to their sizes, and each block like a split.
"""

import heapq
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import chain, islice
from random import Random

from harness.files.benchmark import Benchmark
from harness.records import Instance, Run
from harness.seeds import rng
from harness.stats.clusters import cluster
from harness.variants import INTERNALIZED


@dataclass(frozen=True)
class Split:
    """All instances of a split, of which only a few blocks are in memory at a time."""

    benchmark: Benchmark
    # The files that contain them, with their numbers of instances.
    parts: Mapping[str, int]

    def __iter__(self) -> Iterator[Instance]:
        return chain.from_iterable(map(self.benchmark.instances_of, self.parts))

    def __len__(self) -> int:
        return sum(self.parts.values())


ScoredInstances = Split | list[Instance]


def scored_instances(benchmark: Benchmark, run: Run) -> ScoredInstances:
    """The instances of a split that a run scores, in their order. Blocks without any of them are not read."""
    parts = benchmark.parts(run.split)
    if run.limit is None:
        return Split(benchmark, parts)
    if not run.sampled:
        return list(islice(chain.from_iterable(map(benchmark.instances_of, parts)), run.limit))
    if len(parts) == 1:
        return _sample(benchmark, benchmark.instances(run.split), run.limit)
    return [
        instance
        for part, count in _counts_by_block(parts, run.limit).items()
        for instance in _sample(benchmark, benchmark.instances_of(part), count, part)
    ]


def _counts_by_block(sizes: Mapping[str, int], limit: int) -> dict[str, int]:
    """How many instances of each block are among the first `limit` if every prefix is in proportion.

    The places are those of `_in_proportion`, computed without the instances. Blocks without any are left out.
    """
    draws = rng(0, "limit", "block")
    starts = {block: draws.random() for block in sizes}
    next_places = [(start / sizes[block], block) for block, start in starts.items() if sizes[block]]
    heapq.heapify(next_places)
    counts = dict.fromkeys(sizes, 0)
    for _ in range(min(limit, sum(sizes.values()))):
        _, block = next_places[0]
        counts[block] += 1
        if counts[block] < sizes[block]:
            heapq.heapreplace(next_places, ((counts[block] + starts[block]) / sizes[block], block))
        else:
            heapq.heappop(next_places)
    return {block: count for block, count in counts.items() if count}


def _sample(
    benchmark: Benchmark, instances: Sequence[Instance], count: int, *seed_path: str
) -> list[Instance]:
    """A random sample of count instances, in their order."""
    draws = rng(0, "limit", *seed_path)
    order = sorted(range(len(instances)), key=lambda _: draws.random())
    for name, labels in _labels(benchmark, instances).items():
        order = _in_proportion(order, labels, rng(0, "limit", name, *seed_path))
    return [instances[index] for index in sorted(order[:count])]


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
