"""`harness compare`: the differences between two models, instance by instance.

Forgetting is measured in this way: the same benchmarks before and after training. `matching` says which runs
are compared.
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from harness.compare.matching import Key, Side, Unmatched, sides_in, with_headline, without_counterpart
from harness.errors import UserError
from harness.metrics.accuracy import ACCURACY
from harness.metrics.metric import DETAIL, find
from harness.metrics.parts import PARTS
from harness.records import Cluster, Score
from harness.stats.clusters import clusters
from harness.stats.intervals import Clusters, estimate, interval
from harness.stats.significance import LEVEL, sign_flip

# Sampling settings that change a model's responses in distribution; a seed or a batch size does not.
SAMPLING = ("max_new_tokens", "temperature", "top_p")
# How the label of a part of the score begins.
PART = f"{PARTS.name}{DETAIL}"
Mark = Literal["better", "worse", "changed", ""]


@dataclass(frozen=True, slots=True)
class Difference(Key):
    """One metric of what two runs share, before and after training."""

    benchmark: str
    metric: str
    # The folders of the two runs.
    base: str
    tuned: str
    # The tuned folder as on the command line.
    argument: str
    # These three are over the n instances that have a value on both sides; None if there are none.
    base_mean: float | None
    tuned_mean: float | None
    difference: float | None
    # 95 %. A missing value could be anything from 0 to 1. Contains zero if p is above 0.05. None if a metric
    # without bounds has fewer than two different changes.
    low: float | None
    high: float | None
    n: int
    better: int
    worse: int
    # The two-sided sign-flip test over clusters; None without a value on both sides.
    p: float | None
    # Instances without a value on at least one side: missing, failed or unscored.
    incomplete: tuple[str, ...]
    # Empty unless the interval excludes zero; "changed" if neither direction is better.
    mark: Mark


@dataclass(frozen=True, slots=True)
class Comparison:
    base: str
    tuned: tuple[str, ...]
    differences: tuple[Difference, ...]
    unmatched: tuple[Unmatched, ...]
    # Reasons to trust a difference less.
    warnings: tuple[str, ...] = ()


def compare(base: Path, tuned: Sequence[Path]) -> Comparison:
    """All differences between the runs in these folders. Raises UserError if no two runs are comparable."""
    if not tuned:
        raise UserError(f"tuned: expected at least one run to compare with {base}, got none")
    for folder in tuned:
        if folder.resolve() == base.resolve():
            raise UserError(f"tuned: expected another folder than the base {base}, got {folder}")
    before, unmatched = sides_in(base)
    differences: list[Difference] = []
    warnings: list[str] = []
    for folder in tuned:
        after, unfinished = sides_in(folder)
        unmatched += unfinished
        both = {key: (before[key], side) for key, side in after.items() if key in before}
        differences += [d for key, pair in with_headline(both) for d in _compare(str(folder), key, *pair)]
        warnings += [w for pair in both.values() for w in _sampling_differences(*pair)]
        warnings += [w for key, pair in both.items() if key.scorer for w in _without_clusters(*pair)]
        unmatched += without_counterpart(before, base, after, folder)
    if not differences:
        why = "; ".join(f"{u.run}: {u.reason}" for u in unmatched[:4])
        raise UserError(f"{base}: expected runs that scored the same instances, got none. {why}")
    return Comparison(
        str(base),
        tuple(map(str, tuned)),
        tuple(differences),
        tuple(dict.fromkeys(unmatched)),
        tuple(dict.fromkeys(warnings)),
    )


def _sampling_differences(base: Side, tuned: Side) -> Iterator[str]:
    """A warning for each setting that changes responses and has different values on the two sides."""
    for name in sorted(base.sampling.keys() | tuned.sampling.keys()):
        before, after = base.sampling.get(name), tuned.sampling.get(name)
        if name in SAMPLING and before != after:
            yield f"{base.run} has {name} {before}, {tuned.run} has {after}: this may explain a difference"


def _without_clusters(*sides: Side) -> Iterator[str]:
    """A warning if no side says which instances share an image or a policy."""
    if all(score.cluster is None for side in sides for scores in side.scores.values() for score in scores):
        yield (
            f"{sides[0].run} and {sides[1].run} were scored by an old version, so intervals ignore "
            "shared images and policies: run the same `harness eval` command again for one of them"
        )


def _compare(argument: str, key: Key, base: Side, tuned: Side) -> Iterator[Difference]:
    """A difference for each metric that either side has a value of, in the metrics' order."""
    labels = {
        label
        for side in (base, tuned)
        for scores in side.scores.values()
        for score in scores
        for label in (*(f"{PART}{part}" for part in score.parts), *score.values)
    }
    metrics = sorted(labels, key=lambda label: (not label.startswith(PART), label))
    for metric in (ACCURACY.name, *metrics):
        if instances := _instances_to_compare(base, tuned, metric):
            yield _difference(argument, key, base, tuned, metric, instances)


class _InstanceValue(NamedTuple):
    """An instance's mean over its samples, and the least and most that it can be with its missing samples."""

    mean: float | None
    least: float
    most: float


def _difference(
    argument: str, key: Key, base: Side, tuned: Side, metric: str, instances: Sequence[str]
) -> Difference:
    pairs = [(_instance_value(base, i, metric), _instance_value(tuned, i, metric)) for i in instances]
    shared = [_cluster(base, tuned, i) for i in instances]
    both = [
        (b.mean, t.mean, cluster)
        for (b, t), cluster in zip(pairs, shared, strict=True)
        if b.mean is not None and t.mean is not None
    ]
    changes = [t - b for b, t, _ in both]
    p = sign_flip(changes, clusters(cluster for _, _, cluster in both))
    low, high = _interval(pairs, find(metric).unit.bounds, clusters(shared))
    if low is not None and high is not None and (p is None or p > LEVEL):
        low, high = min(low, 0.0), max(high, 0.0)
    return Difference(
        **asdict(key),
        benchmark=base.benchmark,
        metric=metric,
        base=base.run,
        tuned=tuned.run,
        argument=argument,
        base_mean=_mean([b for b, _, _ in both]),
        tuned_mean=_mean([t for _, t, _ in both]),
        difference=_mean(changes),
        low=low,
        high=high,
        n=len(both),
        better=sum(change > 0 for change in changes),
        worse=sum(change < 0 for change in changes),
        p=p,
        incomplete=tuple(
            i for i, pair in zip(instances, pairs, strict=True) if any(s.least < s.most for s in pair)
        ),
        mark=_mark(low, high, find(metric).direction),
    )


def _cluster(base: Side, tuned: Side, instance: str) -> Cluster:
    """What an instance shares with others; nothing is known if an old version scored both runs."""
    known = [score.cluster for side in (base, tuned) for score in side.scores.get(instance, ())]
    return next(filter(None, known), Cluster())


def _mark(low: float | None, high: float | None, direction: str) -> Mark:
    """What a difference means, if its interval excludes zero."""
    if low is None or high is None or low <= 0 <= high:
        return ""
    if direction == "neither":
        return "changed"
    return "better" if (low > 0) == (direction == "higher") else "worse"


def _instances_to_compare(base: Side, tuned: Side, metric: str) -> list[str]:
    """All instances for accuracy; for a part of the score, those that have it on at least one side.

    For other metrics only those with a value on both sides, because a metric may not apply to all responses.
    """
    instances = dict.fromkeys([*base.scores, *tuned.scores])
    if metric == ACCURACY.name:
        return list(instances)

    def has_value(side: Side, instance: str) -> bool:
        return any(_stored_value(score, metric) is not None for score in side.scores.get(instance, ()))

    enough = any if metric.startswith(PART) else all
    return [i for i in instances if enough(has_value(side, i) for side in (base, tuned))]


def _instance_value(side: Side, instance: str, metric: str) -> _InstanceValue:
    values = [v for s in side.scores.get(instance, ()) if (v := _value(s, metric)) is not None]
    share = metric == ACCURACY.name or metric.startswith(PART)
    missing = max(0, side.samples - len(values)) if share else 0
    total, count = math.fsum(values), len(values) + missing
    return _InstanceValue(_mean(values), total / count, (total + missing) / count)


def _stored_value(score: Score, metric: str) -> float | None:
    if metric == ACCURACY.name:
        return score.value
    if metric.startswith(PART):
        return score.parts.get(metric.removeprefix(PART))
    return score.values.get(metric)


def _value(score: Score, metric: str) -> float | None:
    """The stored value; 0 if a scored response lacks a part, for example because it could not be parsed."""
    stored = _stored_value(score, metric)
    return 0.0 if stored is None and metric.startswith(PART) and score.value is not None else stored


def _interval(
    pairs: Sequence[tuple[_InstanceValue, _InstanceValue]],
    bounds: tuple[float, float] | None,
    shared: Clusters,
) -> tuple[float | None, float | None]:
    """Covers every case from all missing values being worst to all being best for the tuned model."""
    least = [t.least - b.most for b, t in pairs]
    most = [t.most - b.least for b, t in pairs]
    if bounds is None:
        return estimate([[change] for change in least], None, shared)[1:]
    widest = bounds[1] - bounds[0]
    return interval(least, (-widest, widest), shared)[0], interval(most, (-widest, widest), shared)[1]


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
