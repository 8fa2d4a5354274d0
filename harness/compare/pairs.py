"""`harness compare`: what changed from one model to another, instance by instance.

Forgetting is this and nothing more: the same benchmarks before and after. Two runs are compared where both
scored the same instances: same benchmark digest, split, variant and limit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

from harness.errors import UserError
from harness.files import store
from harness.general.mmmu_pro import HEADLINE
from harness.records import Json, Report, Run, Score
from harness.seeds import rng
from harness.stats.intervals import bootstrap

ACCURACY = "accuracy"
RESAMPLES = 10_000
DRAWN = ("max_new_tokens", "temperature", "top_p")
"""Settings of sampling that change what a model is like; a seed or a batch size does not."""


class Key(NamedTuple):
    """What two runs must have in common to be compared."""

    digest: str
    split: str
    variant: str
    limit: int | None
    scorer: str


@dataclass(frozen=True, slots=True)
class Side:
    """One run's scores under one variant."""

    run: str
    """Its folder, as found below the one that was named."""
    benchmark: str
    samples: int
    """How many scores each instance should have."""
    sampling: Json
    scores: Mapping[str, Sequence[Score]]
    """By instance."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One metric of one benchmark under one variant, before and after."""

    benchmark: str
    digest: str
    split: str
    variant: str
    limit: int | None
    scorer: str
    metric: str
    base: str
    tuned: str
    """The runs' folders."""
    argument: str
    """The tuned folder as it was named to the command."""
    base_mean: float | None
    tuned_mean: float | None
    difference: float | None
    """All three over the n instances that both sides have a value for; None where there are none."""
    low: float
    high: float
    """95 % by bootstrap over instances; an incomplete instance counts as anything it could be."""
    n: int
    better: int
    worse: int
    p: float | None
    """McNemar's exact test, two-sided; None where scores are not all 0 or 1."""
    incomplete: tuple[str, ...]
    """Instances that lack a value on one side at least: missing, failed or unscored."""
    mark: Literal["better", "worse", ""]
    """Said only where the interval leaves out zero."""


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A run, or one variant of it, that has nothing to be compared with."""

    run: str
    reason: str


@dataclass(frozen=True, slots=True)
class Comparison:
    base: str
    tuned: tuple[str, ...]
    resamples: int
    differences: tuple[Difference, ...]
    unmatched: tuple[Unmatched, ...]
    warnings: tuple[str, ...] = ()
    """What makes a difference mean less than it seems to."""


def compare(base: Path, tuned: Sequence[Path]) -> Comparison:
    """Every difference that the runs in these folders allow; UserError where they allow none."""
    if not tuned:
        raise UserError(f"tuned: expected at least one run to compare with {base}, got none")
    before, unmatched = _sides(base)
    differences: list[Difference] = []
    warnings: list[str] = []
    for folder in tuned:
        after, unfinished = _sides(folder)
        unmatched += unfinished
        both = {key: (before[key], side) for key, side in after.items() if key in before}
        differences += [d for key, pair in _with_headline(both) for d in _compare(str(folder), key, *pair)]
        warnings += [said for pair in both.values() for said in _unlike(*pair)]
        unmatched += [_alone(key, side, before, base) for key, side in after.items() if key not in before]
        unmatched += [_alone(key, side, after, folder) for key, side in before.items() if key not in after]
    if not differences:
        why = "; ".join(f"{u.run}: {u.reason}" for u in unmatched[:4])
        raise UserError(f"{base}: expected runs that scored the same instances as another's, got none. {why}")
    return Comparison(
        str(base),
        tuple(map(str, tuned)),
        RESAMPLES,
        tuple(differences),
        tuple(dict.fromkeys(unmatched)),
        tuple(dict.fromkeys(warnings)),
    )


def _unlike(base: Side, tuned: Side) -> Iterator[str]:
    """Responses that were drawn in another way, or cut sooner, differ for that alone."""
    for name in sorted(base.sampling.keys() | tuned.sampling.keys()):
        before, after = base.sampling.get(name), tuned.sampling.get(name)
        if name in DRAWN and before != after:
            yield f"{base.run} has {name} {before}, {tuned.run} has {after}: what differs may come of that"


def _sides(folder: Path) -> tuple[dict[Key, Side], list[Unmatched]]:
    """What was scored in a run's folder, or in the runs one or two levels down, and what is not finished."""
    found = [folder] if (folder / "run.json").is_file() else []
    found = found or sorted(p.parent for depth in ("*", "*/*") for p in folder.glob(f"{depth}/run.json"))
    if not found:
        raise UserError(f"{folder}: expected a run's folder, or one with runs in it, got no run.json there")
    sides: dict[Key, Side] = {}
    unfinished = []
    for path in found:
        run = store.read_json(path / "run.json", Run)
        if not (path / "scores.jsonl").is_file():
            unfinished.append(
                Unmatched(str(path), "not finished: the same eval command again goes on with it")
            )
            continue
        report = path / "report.json"
        scorer = store.read_json(report, Report).scorer if report.is_file() else ""
        by_variant: dict[str, dict[str, list[Score]]] = {}
        for score in store.read_lines(path / "scores.jsonl", Score):
            by_variant.setdefault(score.variant, {}).setdefault(score.instance, []).append(score)
        for variant, scores in by_variant.items():
            key = Key(run.digest, run.split, variant, run.limit, scorer)
            if key in sides:
                raise UserError(
                    f"{folder}: {sides[key].run} and {path} both hold {variant} of {_name(run)}; "
                    "name the one to compare"
                )
            sides[key] = Side(str(path), _name(run), run.samples, run.sampling, scores)
    return sides, unfinished


def _name(run: Run) -> str:
    """The benchmark's folder; a converted one's without the digest in it."""
    return re.sub(r"-[0-9a-f]{16}$", "", Path(run.benchmark).name)


def _alone(key: Key, side: Side, others: Mapping[Key, Side], folder: Path) -> Unmatched:
    """Says why nothing in the folder matches: what the nearest of it has instead."""
    what = f"{key.variant} of {side.benchmark}"
    for near, other in others.items():
        if near._replace(limit=None) == key._replace(limit=None):
            return Unmatched(side.run, f"{what} has limit {key.limit}, {other.run} has {near.limit}")
        if near._replace(scorer=key.scorer) == key:
            scorers = f"scorer {key.scorer!r}, {other.run} has {near.scorer!r}"
            return Unmatched(side.run, f"{what} has {scorers}: score one of them again")
        if near[1:] == key[1:] and other.benchmark == side.benchmark:
            digests = f"digest {key.digest[:12]}, {other.run} has {near.digest[:12]}"
            return Unmatched(side.run, f"{what} has {digests}: other questions under the same name")
    return Unmatched(side.run, f"{what} ({key.split}) is in no run of {folder}")


Pairs = Mapping[Key, tuple[Side, Side]]


def _with_headline(both: Pairs) -> Iterator[tuple[Key, tuple[Side, Side]]]:
    """The matched runs, and MMMU-Pro's headline where both its settings are there.

    The headline is the mean of two settings that ask the same questions, so a question's two scores are taken
    as two samples of it, and its interval knows that they belong together.
    """
    yield from both.items()
    for limit in {key.limit for key in both}:
        halves = [
            [(key, b, t) for key, (b, t) in both.items() if (key.limit, b.benchmark) == (limit, name)]
            for name in HEADLINE
        ]
        # Of two runs of a setting, such as with other prompts, nothing here says which belongs to which.
        if any(len(found) != 1 for found in halves):
            continue
        (first, base_1, tuned_1), (second, base_2, tuned_2) = (found[0] for found in halves)
        if base_1.samples == base_2.samples and tuned_1.samples == tuned_2.samples:
            key = first._replace(digest=f"{first.digest}+{second.digest}")
            yield key, (_joined(base_1, base_2), _joined(tuned_1, tuned_2))


def _joined(one: Side, other: Side) -> Side:
    scores = {
        i: [*one.scores.get(i, ()), *other.scores.get(i, ())]
        for i in dict.fromkeys([*one.scores, *other.scores])
    }
    run = f"{one.run} + {other.run}"
    return Side(run, "mmmu-pro (headline)", 2 * one.samples, one.sampling, scores)


def _compare(argument: str, key: Key, base: Side, tuned: Side) -> Iterator[Difference]:
    """Accuracy, then each part that a family's scores have."""
    parts = {
        p: None for side in (base, tuned) for scores in side.scores.values() for s in scores for p in s.parts
    }
    for metric in (ACCURACY, *parts):
        yield _difference(argument, key, base, tuned, metric)


class _Known(NamedTuple):
    """An instance's mean over its samples, and what it could be once those that lack a value have one."""

    mean: float | None
    least: float
    most: float


def _difference(argument: str, key: Key, base: Side, tuned: Side, metric: str) -> Difference:
    instances = _having(base, tuned, metric)
    pairs = [(_known(base, i, metric), _known(tuned, i, metric)) for i in instances]
    both = [(b.mean, t.mean) for b, t in pairs if b.mean is not None and t.mean is not None]
    changes = [t - b for b, t in both]
    low, high = _interval(pairs, (*key[:3], str(key.limit), metric))
    return Difference(
        benchmark=base.benchmark,
        **key._asdict(),
        metric=metric,
        base=base.run,
        tuned=tuned.run,
        argument=argument,
        base_mean=_mean([b for b, _ in both]),
        tuned_mean=_mean([t for _, t in both]),
        difference=_mean(changes),
        low=low,
        high=high,
        n=len(both),
        better=sum(change > 0 for change in changes),
        worse=sum(change < 0 for change in changes),
        p=_mcnemar(both),
        incomplete=tuple(
            i for i, pair in zip(instances, pairs, strict=True) if any(s.least < s.most for s in pair)
        ),
        mark="better" if low > 0 else "worse" if high < 0 else "",
    )


def _having(base: Side, tuned: Side, metric: str) -> list[str]:
    """The instances that the metric says something of: a part that neither side has there does not."""
    return [
        i
        for i in dict.fromkeys([*base.scores, *tuned.scores])
        if metric == ACCURACY
        or any(metric in s.parts for side in (base, tuned) for s in side.scores.get(i, ()))
    ]


def _known(side: Side, instance: str, metric: str) -> _Known:
    values = [v for s in side.scores.get(instance, ()) if (v := _value(s, metric)) is not None]
    total, lacking = math.fsum(values), max(0, side.samples - len(values))
    asked = len(values) + lacking
    return _Known(_mean(values), total / asked, (total + lacking) / asked)


def _value(score: Score, metric: str) -> float | None:
    """A response that was scored and lacks the part, such as an unparsed one, earned nothing in it."""
    if metric == ACCURACY or score.value is None:
        return score.value
    return score.parts.get(metric, 0.0)


def _interval(pairs: Sequence[tuple[_Known, _Known]], seed: Sequence[str]) -> tuple[float, float]:
    """From what is not known turned out against the tuned model to the same in its favour."""
    least = [t.least - b.most for b, t in pairs]
    most = [t.most - b.least for b, t in pairs]
    low, high = bootstrap(least, rng(0, "compare", *seed), RESAMPLES)
    if least != most:
        high = bootstrap(most, rng(0, "compare", *seed), RESAMPLES)[1]
    return low, high


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None


def _mcnemar(pairs: Sequence[tuple[float, float]]) -> float | None:
    """Exact and two-sided: were the instances that changed as likely to get better as worse?"""
    if not pairs or not all(value in (0, 1) for pair in pairs for value in pair):
        return None
    up, down = (sum(b - a == sign for a, b in pairs) for sign in (1, -1))
    n = up + down
    ways = (
        math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1) for k in range(min(up, down) + 1)
    )
    return min(1.0, 2 * math.fsum(math.exp(way - n * math.log(2)) for way in ways))
