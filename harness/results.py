"""Everything about a finished run in one place: each instance with its response and score."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from harness import variants
from harness.files.benchmark import Benchmark
from harness.records import Instance, Response, Score
from harness.variants import Variant


@dataclass(frozen=True, slots=True)
class Result:
    instance: Instance
    variant: Variant
    response: Response
    score: Score


@dataclass(frozen=True, slots=True)
class Results:
    benchmark: Benchmark
    results: Sequence[Result]

    def by_variant(self) -> Iterator[tuple[Variant, list[Result]]]:
        for variant in variants.VARIANTS.values():
            found = [r for r in self.results if r.variant is variant]
            if found:
                yield variant, found


def majorities(benchmark: Benchmark) -> dict[str | None, list[str]]:
    """By policy: the answers of the training split, the most frequent first, by name where tied."""
    counts: dict[str | None, Counter[str]] = {}
    for instance in benchmark.instances("train") if "train" in benchmark.splits else ():
        for variant in (variants.INTERNALIZED, variants.OVERRIDE):
            policy, target = variants.policy_id(instance, variant), variants.target(instance, variant)
            if target is not None:
                counts.setdefault(policy, Counter())[target] += 1
    return {policy: sorted(c, key=lambda answer: (-c[answer], answer)) for policy, c in counts.items()}


def majority(answers: Sequence[str], ranked: Sequence[str]) -> str | None:
    """The first of the ranked answers that can be given here: one policy may be asked several things."""
    return next((answer for answer in ranked if answer in answers), None)
