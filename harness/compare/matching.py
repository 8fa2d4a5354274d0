"""Which runs can be compared: those that scored the same instances under the same variant."""

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import NamedTuple

from harness.errors import UserError
from harness.files import kinds, store
from harness.general.mmmu_pro import HEADLINE
from harness.metrics.metric import find
from harness.records import Json, Run, Score
from harness.report.figures import benchmark_name, read_report
from harness.text import enumeration, printable


@dataclass(frozen=True, slots=True)
class Key:
    """What two runs must share to be compared."""

    digest: str
    split: str
    variant: str
    limit: int | None
    # Whether the limit is a random sample.
    sampled: bool
    scorer: str


@dataclass(frozen=True, slots=True)
class Side:
    """One run's scores under one variant."""

    # The folder of the run.
    run: str
    benchmark: str
    # How many scores each instance should have.
    samples: int
    sampling: Json
    # By instance.
    scores: Mapping[str, Sequence[Score]]


@dataclass(frozen=True, slots=True)
class Unmatched:
    """A run, or one variant of it, that has no counterpart."""

    run: str
    reason: str


def sides_in(folder: Path) -> tuple[dict[Key, Side], list[Unmatched]]:
    """The scores of a run, or of the runs one or two levels below a folder, and the unfinished runs."""
    found = kinds.runs_in(folder)
    if not found:
        kinds.refuse(folder, kinds.RUN_OR_RUNS)
    sides: dict[Key, Side] = {}
    unfinished = []
    for path in found:
        run = store.read_json(path / "run.json", Run)
        if not (path / "scores.jsonl").is_file():
            unfinished.append(Unmatched(str(path), "unfinished: run the same command again to complete it"))
            continue
        report = path / "report.json"
        scorer = read_report(path).scorer if report.is_file() else ""
        by_variant: dict[str, dict[str, list[Score]]] = {}
        for score in store.read_lines(path / "scores.jsonl", Score):
            _check_values(path, score)
            by_variant.setdefault(score.variant, {}).setdefault(score.instance, []).append(score)
        for variant, scores in by_variant.items():
            key = Key(run.digest, run.split, variant, run.limit, run.sampled, scorer)
            if key in sides:
                raise UserError(
                    f"{folder}: {sides[key].run} and {path} both contain {variant} of {benchmark_name(run)}; "
                    "give the one to compare"
                )
            sides[key] = Side(str(path), benchmark_name(run), run.samples, run.sampling, scores)
    return sides, unfinished


def _check_values(run: Path, score: Score) -> None:
    """Raises UserError if a metric has a value that it cannot have."""
    for name, value in score.values.items():
        low, high = find(name).unit.bounds or (-math.inf, math.inf)
        if not low <= value <= high:
            raise UserError(
                f"{run / 'scores.jsonl'}: {printable(name)}: expected values from {low:g} to {high:g}, got "
                f"{value:g}; run the same `harness eval` or `harness score` command again to score the run"
            )


class _Reason(NamedTuple):
    """Why a run has no counterpart: what it has, and what the most similar run has instead."""

    run: str
    benchmark: str
    other: str
    # What differs, and the values; empty if no run is similar.
    what: str = ""
    own: str = ""
    others: str = ""
    advice: str = ""

    @property
    def mirrored(self) -> "_Reason":
        """The same reason, as the other run has it."""
        return self._replace(run=self.other, other=self.run, own=self.others, others=self.own)

    def text(self, variants: Sequence[str]) -> str:
        several = len(variants) > 1
        what = f"{enumeration(variants)} of {self.benchmark}"
        if not self.what:
            return f"{what} {'are' if several else 'is'} in no run of {self.other}"
        has = "have" if several else "has"
        return f"{what} {has} {self.what} {self.own}, {self.other} has {self.others}{self.advice}"


def without_counterpart(
    before: Mapping[Key, Side], base: Path, after: Mapping[Key, Side], folder: Path
) -> list[Unmatched]:
    """Why runs in two folders are not compared: each reason once, with all variants that it holds for."""
    variants: dict[_Reason, list[str]] = {}
    for sides, others, where in ((before, after, folder), (after, before, base)):
        for key, side in sides.items():
            if key not in others:
                reason = _reason(key, side, others, where)
                if key.variant not in variants.get(reason.mirrored, ()):
                    variants.setdefault(reason, []).append(key.variant)
    return [Unmatched(reason.run, reason.text(found)) for reason, found in variants.items()]


def _reason(key: Key, side: Side, others: Mapping[Key, Side], folder: Path) -> _Reason:
    for near, other in others.items():
        reason = _Reason(side.run, side.benchmark, other.run)
        if replace(near, limit=key.limit, sampled=key.sampled) == key:
            return reason._replace(what="limit", own=_extent(key), others=_extent(near))
        if replace(near, scorer=key.scorer) == key:
            own, theirs, again = repr(key.scorer), repr(near.scorer), ": score one of them again"
            return reason._replace(what="scorer", own=own, others=theirs, advice=again)
        if replace(near, digest=key.digest) == key and other.benchmark == side.benchmark:
            own, theirs, why = key.digest[:12], near.digest[:12], ": different questions under the same name"
            return reason._replace(what="digest", own=own, others=theirs, advice=why)
    return _Reason(side.run, f"{side.benchmark} ({key.split})", str(folder))


def _extent(key: Key) -> str:
    """How many instances of a split were scored, and which."""
    return (
        "none" if key.limit is None else f"{key.limit} ({'a random sample' if key.sampled else 'the first'})"
    )


def with_headline(both: Mapping[Key, tuple[Side, Side]]) -> Iterator[tuple[Key, tuple[Side, Side]]]:
    """The matched runs, and MMMU-Pro's headline score if both of its settings are present.

    The headline is the mean of two settings with the same questions, so the two scores of a question count as
    two samples of it, and the interval accounts for their dependence.
    """
    yield from both.items()
    for extent in {(key.limit, key.sampled) for key in both}:
        same = [(key, b, t) for key, (b, t) in both.items() if (key.limit, key.sampled) == extent]
        halves = [[found for found in same if found[1].benchmark == name] for name in HEADLINE]
        # With two runs of a setting, such as with different prompts, it is unknown which belong together.
        if any(len(found) != 1 for found in halves):
            continue
        (first, base_1, tuned_1), (second, base_2, tuned_2) = (found[0] for found in halves)
        if base_1.samples == base_2.samples and tuned_1.samples == tuned_2.samples:
            key = replace(first, digest=f"{first.digest}+{second.digest}")
            yield key, (_joined(base_1, base_2), _joined(tuned_1, tuned_2))


def _joined(one: Side, other: Side) -> Side:
    scores = {
        i: [*one.scores.get(i, ()), *other.scores.get(i, ())]
        for i in dict.fromkeys([*one.scores, *other.scores])
    }
    run = f"{one.run} + {other.run}"
    return Side(run, "mmmu-pro (headline)", 2 * one.samples, one.sampling, scores)
