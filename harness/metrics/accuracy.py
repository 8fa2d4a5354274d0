"""Mean score by variant, whole and by each of the family's groups, with chance and majority beside it.

With several samples for each instance, the mean over instances of the mean over samples. A failed request is
in no mean: the interval runs from all failures wrong to all failures right.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace

from harness import variants
from harness.files.benchmark import Benchmark
from harness.metrics import mean_row
from harness.records import ReportRow
from harness.results import Result, Results, majorities, majority
from harness.variants import Variant


def accuracy(results: Results) -> list[ReportRow]:
    benchmark = results.benchmark
    ranked = majorities(benchmark)
    rows = []
    for variant, members in results.by_variant():
        references = [_references(benchmark, variant, r, ranked) for r in members]
        rows.append(_row(variant, members, references))
        groups: dict[tuple[str, str], list[int]] = defaultdict(list)
        for index, result in enumerate(members):
            for group in benchmark.family_of(result.instance).groups(result.instance, variant).items():
                groups[group].append(index)
        for (name, member), indices in sorted(groups.items(), key=_in_order):
            rows.append(
                _row(variant, [members[i] for i in indices], [references[i] for i in indices], name, member)
            )
    return rows


def _in_order(item: tuple[tuple[str, str], list[int]]) -> tuple[str, int, str]:
    """Numbers by size, and so "9" before "10"."""
    (name, member), _ = item
    return name, len(member), member


def _references(
    benchmark: Benchmark, variant: Variant, result: Result, ranked: Mapping[str | None, Sequence[str]]
) -> tuple[float | None, float | None]:
    """What a uniform guess and the constant majority answer earn on this instance."""
    family, instance = benchmark.family, result.instance
    answers = family.answers(instance, variant)
    policy, target = variants.policy_id(instance, variant), variants.target(instance, variant)
    chance = 1 / len(answers) if answers else None
    constant = majority(answers, ranked.get(policy, ()))
    if constant is None or target is None:
        return chance, None
    return chance, family.grade(instance, target, family.respond(constant)).value


def _row(
    variant: Variant,
    members: Sequence[Result],
    references: Sequence[tuple[float | None, float | None]],
    group: str = "",
    member: str = "",
) -> ReportRow:
    chances, constants = ([r for r in column if r is not None] for column in zip(*references, strict=True))
    return replace(
        mean_row(variant, "accuracy", members, lambda r: r.score.value, group, member),
        chance=sum(chances) / len(chances) if chances else None,
        majority=sum(constants) / len(constants) if constants else None,
    )
