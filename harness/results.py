"""The results of a run: each instance with its response and score."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from harness import variants
from harness.files.benchmark import Benchmark
from harness.records import CitedRule, Instance, Response, Score
from harness.stats.clusters import cluster, clusters
from harness.stats.intervals import Clusters
from harness.variants import Variant


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
    _cited: dict[tuple[str, str, int], Sequence[CitedRule]] = field(default_factory=dict, repr=False)

    def cited_rules(self, result: Result) -> Sequence[CitedRule]:
        """What a response cites of its policy. Several metrics ask for it, so it is computed once."""
        key = result.response.key
        if key not in self._cited:
            family = self.benchmark.family_of(result.instance)
            text = result.response.text or ""
            self._cited[key] = family.cited_rules(result.instance, result.variant, text)
        return self._cited[key]

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


def majorities(benchmark: Benchmark) -> dict[str | None, list[str]]:
    """By policy: the answers of the training split, most frequent first, ties in alphabetical order."""
    counts: dict[str | None, Counter[str]] = {}
    for instance in benchmark.instances("train") if "train" in benchmark.splits else ():
        for variant in (variants.INTERNALIZED, variants.OVERRIDE):
            policy, target = variants.policy_id(instance, variant), variants.target(instance, variant)
            if target is not None:
                counts.setdefault(policy, Counter())[target] += 1
    return {policy: sorted(c, key=lambda answer: (-c[answer], answer)) for policy, c in counts.items()}


def majority(answers: Sequence[str], ranked: Sequence[str]) -> str | None:
    """The first ranked answer that is possible here, since one policy can have several kinds of questions."""
    return next((answer for answer in ranked if answer in answers), None)
