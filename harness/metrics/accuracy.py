"""Mean score by variant, whole and by each of the family's groups, with chance and majority beside it.

A failed request is in no mean: the interval runs from all failures wrong to all failures right.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence

from harness import variants
from harness.benchmark import Benchmark
from harness.intervals import wilson
from harness.records import Row
from harness.results import Result, Results, majorities
from harness.variants import Variant


def accuracy(results: Results) -> list[Row]:
    benchmark = results.benchmark
    constant = majorities(benchmark)
    rows = []
    for variant, members in results.by_variant():
        references = [_references(benchmark, variant, r, constant) for r in members]
        rows.append(_row(variant, members, references))
        groups: dict[tuple[str, str], list[int]] = defaultdict(list)
        for index, result in enumerate(members):
            for group in benchmark.family.groups(result.instance, variant).items():
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
    benchmark: Benchmark, variant: Variant, result: Result, constant: Mapping[str | None, str]
) -> tuple[float | None, float | None]:
    """What a uniform guess and the constant majority answer earn on this instance."""
    family, instance = benchmark.family, result.instance
    answers = family.answers(instance, variant)
    policy, target = variants.policy_id(instance, variant), variants.target(instance, variant)
    chance = 1 / len(answers) if answers else None
    if policy not in constant or target is None or not answers:
        return chance, None
    return chance, family.grade(instance, target, family.respond(constant[policy])).value


def _row(
    variant: Variant,
    members: Sequence[Result],
    references: Sequence[tuple[float | None, float | None]],
    group: str = "",
    member: str = "",
) -> Row:
    values = [r.score.value for r in members if r.score.value is not None]
    errors = sum(r.response.error is not None for r in members)
    chances, constants = ([r for r in column if r is not None] for column in zip(*references, strict=True))
    return Row(
        variant=variant.name,
        metric="accuracy",
        mean=sum(values) / len(values) if values else None,
        low=wilson(sum(values), len(members))[0],
        high=wilson(sum(values) + len(members) - len(values), len(members))[1],
        n=len(values),
        unparsed=sum(r.score.reason == "unparsed" for r in members),
        truncated=sum(r.response.finish_reason == "length" for r in members),
        errors=errors,
        chance=sum(chances) / len(chances) if chances else None,
        majority=sum(constants) / len(constants) if constants else None,
        group=group,
        member=member,
    )
