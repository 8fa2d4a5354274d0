"""The results of a run: each instance with its response and score.

Families and metrics are third-party code, and a response is any text. So everything that they compute from a
result goes through `Results.attempt`: an exception costs this value only, and the report says how many values
are missing and why.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain
from typing import Any, TypeVar

from harness import variants
from harness.files.benchmark import Benchmark, instances_file
from harness.records import CitedRule, Instance, Response, Score
from harness.stats.clusters import cluster, clusters
from harness.stats.intervals import Clusters
from harness.text import printable, reason
from harness.variants import Variant

T = TypeVar("T")
# The instance, variant and sample of a response.
Key = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class Result:
    instance: Instance
    variant: Variant
    response: Response
    score: Score


@dataclass(frozen=True)
class Results:
    """The scored responses of a run."""

    benchmark: Benchmark
    results: Sequence[Result]
    # What failed, such as "metric accuracy" -> the responses that lack it (None: all of them) -> the reason.
    failures: dict[str, dict[Key | None, str]] = field(default_factory=dict, repr=False)
    _cited: dict[Key, Sequence[CitedRule] | None] = field(default_factory=dict, repr=False)
    # Each different CitedRule once, because most responses cite the same few in the same way.
    _rules: dict[tuple[object, ...], CitedRule] = field(default_factory=dict, repr=False)

    def attempt(self, what: str, result: Result | None, compute: Callable[[], T]) -> T | None:
        """What `compute` returns; None if it raises an exception, which is recorded in `failures`."""
        try:
            return compute()
        except Exception as error:
            self.failures.setdefault(what, {})[result.score.key if result else None] = reason(error)
            return None

    def failure_messages(self) -> Iterator[str]:
        """A sentence for each thing that failed, with the reason of its first failure."""
        for what, reasons in self.failures.items():
            times = "" if None in reasons else f" on {len(reasons)} responses"
            yield f"{what} failed{times}: {next(iter(reasons.values()))}."

    def cited_rules(self, result: Result) -> Sequence[CitedRule] | None:
        """What a response cites of its policy; None if the family fails.

        Several metrics ask for it, so it is computed once.
        """

        def named(found: Sequence[CitedRule]) -> Sequence[CitedRule]:
            printed = (c if c.rule.isprintable() else replace(c, rule=printable(c.rule)) for c in found)
            return tuple(self._rules.setdefault((c.rule, c.exists, *c.parts.items()), c) for c in printed)

        key = result.response.key
        if key not in self._cited:
            self._cited[key] = self._ask(result, "cited_rules", named, result.response.text or "")
        return self._cited[key]

    def gold_rules(self, result: Result) -> Sequence[str]:
        """The rules that lead to the correct answer; empty if the family fails."""
        return self._ask(result, "gold_rules", lambda rules: list(map(printable, rules))) or []

    def groups(self, result: Result) -> Mapping[str, str]:
        """The groups that a result belongs to; empty if the family fails."""

        def named(groups: Mapping[str, str]) -> Mapping[str, str]:
            return {printable(name): printable(member) for name, member in groups.items()}

        return self._ask(result, "groups", named) or {}

    def first_error(self, result: Result) -> str | None:
        """The first error of a response; None if it is undetermined or the family fails."""
        text = result.response.text or ""
        return self._ask(result, "first_error", lambda label: label and printable(label), text)

    def gold(self, result: Result) -> str:
        """A complete correct response; "" if the family fails."""
        return self._ask(result, "gold", str) or ""

    def _ask(self, result: Result, method: str, read: Callable[[Any], T], *arguments: str) -> T | None:
        """What a method of the family returns, read as a value with printable names; None if this fails."""
        family = self.benchmark.family_of(result.instance)
        what = f"`{method}` of {type(family).__name__}"
        ask = getattr(family, method)
        return self.attempt(what, result, lambda: read(ask(result.instance, result.variant, *arguments)))

    def by_variant(self) -> Iterator[tuple[Variant, list[Result]]]:
        for variant in variants.VARIANTS.values():
            found = [r for r in self.results if r.variant is variant]
            if found:
                yield variant, found


def by_instance(results: Sequence[Result]) -> list[list[Result]]:
    """The samples of each instance."""
    instances: dict[str, list[Result]] = {}
    for result in results:
        instances.setdefault(result.instance.id, []).append(result)
    return list(instances.values())


def clusters_of(instances: Sequence[Sequence[Result]]) -> Clusters:
    """Which of these instances, each given by its samples, belong together."""
    return clusters(cluster(samples[0].instance) for samples in instances)


def training_instances(benchmark: Benchmark, instances: Iterable[Instance]) -> Iterator[Instance]:
    """The training split; in a benchmark of blocks, that of the blocks of these instances."""
    files = (block + instances_file("train") for block in sorted({i.block for i in instances}))
    parts = [path for path in files if path in benchmark.manifest.files]
    return chain.from_iterable(map(benchmark.instances_of, parts))


def majorities(benchmark: Benchmark, instances: Iterable[Instance]) -> dict[str | None, list[str]]:
    """By policy: the answers of `training_instances`, most frequent first, ties in alphabetical order."""
    counts: dict[str | None, Counter[str]] = {}
    for instance in training_instances(benchmark, instances):
        for variant in (variants.INTERNALIZED, variants.OVERRIDE):
            policy, target = variants.policy_id(instance, variant), variants.target(instance, variant)
            if target is not None:
                counts.setdefault(policy, Counter())[target] += 1
    return {policy: sorted(c, key=lambda answer: (-c[answer], answer)) for policy, c in counts.items()}


def majority(answers: Sequence[str], ranked: Sequence[str]) -> str | None:
    """The first ranked answer that is possible here, since one policy can have several kinds of questions."""
    return next((answer for answer in ranked if answer in answers), None)
