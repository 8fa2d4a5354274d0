"""The mean score by variant and group, compared with a random guess and the majority answer."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from statistics import fmean
from typing import NamedTuple

from harness import variants
from harness.files.benchmark import checked
from harness.metrics.metric import Metric, mean_row, natural
from harness.records import ReportRow
from harness.results import Result, Results, Scored, majorities, majority
from harness.variants import Variant


class References(NamedTuple):
    """What a uniform guess and the constant majority answer score on an instance."""

    chance: float | None = None
    majority: float | None = None


def groups_and_references(results: Results, result: Result) -> tuple[tuple[tuple[str, str], ...], References]:
    ranked = results.once("majority answers", lambda: _ranked(results))
    references = results.attempt(
        "determining chance and the majority answer",
        result,
        lambda: _references(results, result, ranked),
    )
    return tuple(results.groups(result).items()), references or References()


def by_variant_and_group(metric: Metric, results: Results) -> Iterator[ReportRow]:
    kept = metric.of
    for variant, members in results.by_variant():
        references = [kept(scored)[1] for scored in members]
        yield _row(metric, variant, members, references)
        groups: dict[tuple[str, str], list[int]] = defaultdict(list)
        for index, scored in enumerate(members):
            for group in kept(scored)[0]:
                groups[group].append(index)
        for (name, member), indices in sorted(
            groups.items(), key=lambda item: (item[0][0], natural(item[0][1]))
        ):
            chosen, theirs = [members[i] for i in indices], [references[i] for i in indices]
            yield _row(metric, variant, chosen, theirs, name, member)


def _ranked(results: Results) -> Mapping[str | None, Sequence[str]]:
    ranked = results.attempt(
        "determining the majority answers", None, lambda: majorities(results.benchmark, results.instances)
    )
    return ranked or {}


def _references(results: Results, result: Result, ranked: Mapping[str | None, Sequence[str]]) -> References:
    instance, variant = result.instance, result.variant
    family = results.benchmark.family_of(instance)
    answers = family.answers(instance, variant)
    policy, target = variants.policy_id(instance, variant), variants.target(instance, variant)
    chance = 1 / len(answers) if answers else None
    constant = majority(answers, ranked.get(policy, ()))
    if constant is None or target is None:
        return References(chance)
    return References(chance, checked(family.grade(instance, target, family.respond(constant))).value)


def _row(
    metric: Metric,
    variant: Variant,
    members: Sequence[Scored],
    references: Sequence[References],
    group: str = "",
    member: str = "",
) -> ReportRow:
    chances, constants = ([r for r in column if r is not None] for column in zip(*references, strict=True))
    row = mean_row(metric, variant, members, lambda scored: scored.value, group=group, member=member)
    return replace(
        row, chance=fmean(chances) if chances else None, majority=fmean(constants) if constants else None
    )


ACCURACY = Metric(
    name="accuracy",
    explanation="The mean score of the responses; with several samples per prompt, the mean over instances "
    "of the mean over samples. Failed requests are excluded from it, but widen the interval. So do questions "
    "that share images or a policy, because their scores are related.",
    observe=groups_and_references,
    aggregate=by_variant_and_group,
    headline=True,
)
