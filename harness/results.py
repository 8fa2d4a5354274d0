"""The results of a run. Each response is graded in one pass, of which only figures are kept.

    Result    an instance with its response and score, while a response is graded
    Scored    what is kept of it: no text, so that a million of them fit into memory
    Results   all that is kept of a run, and what metrics may ask about its benchmark and its family

Families and metrics are third-party code, and a response is any text. So everything that they compute from a
result goes through `Results.attempt`: an exception costs this value only, and the report says how many values
are missing and why.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from typing import Any, TypeVar

from harness import variants
from harness.files.benchmark import Benchmark, instances_file
from harness.records import CitedRule, Cluster, Grade, Instance, Response, Score
from harness.stats.clusters import cluster, clusters
from harness.stats.intervals import Clusters
from harness.stats.usage import UsageSums
from harness.text import printable, reason
from harness.variants import VARIANTS, Variant

T = TypeVar("T")
# The instance, variant and sample of a response.
Key = tuple[str, str, int]
NO_RESPONSES: Mapping[Key, Response] = {}


@dataclass(frozen=True, slots=True)
class Result:
    instance: Instance
    variant: Variant
    response: Response
    score: Score

    @property
    def value(self) -> float | None:
        return self.score.value

    @property
    def reason(self) -> str | None:
        return self.score.reason

    @property
    def failed(self) -> bool:
        return self.response.error is not None


@dataclass(frozen=True, slots=True)
class Scored:
    """What is kept of a result."""

    # The id.
    instance: str
    cluster: Cluster
    variant: Variant
    sample: int
    value: float | None
    # Why there is no value, or "unparsed".
    reason: str | None
    # Whether the request failed.
    failed: bool
    # Whether the response was cut off.
    truncated: bool
    # What each installed metric keeps (harness.metrics.metric).
    observed: tuple[Any, ...]

    @property
    def key(self) -> Key:
        return self.instance, self.variant.name, self.sample


class Results:
    """The scored responses of a run."""

    def __init__(
        self,
        benchmark: Benchmark,
        instances: Iterable[Instance] = (),
        response: Callable[[Key], Response] = NO_RESPONSES.__getitem__,
        samples: int = 1,
    ) -> None:
        """`instances` can be iterated several times, and `response` returns the response with a key."""
        self.benchmark, self.instances, self.response, self.samples = benchmark, instances, response, samples
        self.scored: list[Scored] = []
        # By variant: the tokens and times of these responses.
        self.sums: dict[str, UsageSums] = {}
        # What failed, such as "metric accuracy" -> the responses that lack it (None: all) -> the reason.
        self.failures: dict[str, dict[Key | None, str]] = {}
        # What the family was asked about the latest result, because several metrics ask for the same.
        self._latest: tuple[Result, dict[str, Any]] | None = None
        self._once: dict[str, Any] = {}

    def grade(self, instance: Instance, variant: Variant, target: str, response: Response) -> Result:
        """Grades a response to an instance. A failed request gets a score without value, with the reason."""
        if response.text is None:
            grade = Grade(None, f"request failed: {response.error}")
        else:
            grade = self.benchmark.grade(instance, target, response.text)
        score = Score(*response.key, grade.value, grade.reason, grade.parts, cluster=cluster(instance))
        return Result(instance, variant, response, score)

    def full(self, chosen: Collection[Scored]) -> list[Result]:
        """These results with their instances and responses, which are read and graded again."""
        ids = {scored.instance for scored in chosen}
        instances = {i.id: i for i in self.instances if i.id in ids}
        found = []
        for scored in chosen:
            instance = instances[scored.instance]
            target = variants.target(instance, scored.variant) or instance.target
            found.append(self.grade(instance, scored.variant, target, self.response(scored.key)))
        return found

    def once(self, what: str, compute: Callable[[], T]) -> T:
        """What `compute` returned when this was first called with the same `what`."""
        if what not in self._once:
            self._once[what] = compute()
        return self._once[what]  # type: ignore[no-any-return]

    def attempt(self, what: str, result: Result | None, compute: Callable[[], T]) -> T | None:
        """What `compute` returns; None if it raises an exception, which is recorded in `failures`."""
        try:
            return compute()
        except Exception as error:
            self.record_failure(what, result, error)
            return None

    def record_failure(self, what: str, result: Result | None, error: Exception) -> None:
        self.failures.setdefault(what, {})[result.score.key if result else None] = reason(error)

    def failure_messages(self) -> Iterator[str]:
        """A sentence for each thing that failed, with the reason of its first failure."""
        for what, reasons in self.failures.items():
            times = "" if None in reasons else f" on {len(reasons)} responses"
            yield f"{what} failed{times}: {next(iter(reasons.values()))}."

    def cited_rules(self, result: Result) -> Sequence[CitedRule] | None:
        """What a response cites of its policy; None if the family fails."""
        return self._ask(result, "cited_rules", _printable_rules, result.response.text or "")

    def gold_rules(self, result: Result) -> Sequence[str]:
        """The rules that lead to the correct answer; empty if the family fails."""
        return self._ask(result, "gold_rules", _printable_names) or []

    def groups(self, result: Result) -> Mapping[str, str]:
        """The groups that a result belongs to; empty if the family fails."""
        return self._ask(result, "groups", _printable_groups) or {}

    def first_error(self, result: Result) -> str | None:
        """The first error of a response; None if it is undetermined or the family fails."""
        text = result.response.text or ""
        return self._ask(result, "first_error", lambda label: label and printable(label), text)

    def gold(self, result: Result) -> str:
        """A complete correct response; "" if the family fails."""
        return self._ask(result, "gold", str) or ""

    def _ask(self, result: Result, method: str, read: Callable[[Any], T], *arguments: str) -> T | None:
        """What a method of the family returns, read as a value with printable names; None if this fails."""
        if self._latest is None or self._latest[0] is not result:
            self._latest = result, {}
        answers = self._latest[1]
        if method not in answers:
            family = self.benchmark.family_of(result.instance)
            answers[method] = self.attempt(
                f"`{method}` of {type(family).__name__}",
                result,
                lambda: read(getattr(family, method)(result.instance, result.variant, *arguments)),
            )
        return answers[method]  # type: ignore[no-any-return]

    def by_variant(self) -> Iterator[tuple[Variant, list[Scored]]]:
        for variant in VARIANTS.values():
            found = [scored for scored in self.scored if scored.variant is variant]
            if found:
                yield variant, found


def _printable_rules(found: Sequence[CitedRule]) -> Sequence[CitedRule]:
    return [c if c.rule.isprintable() else replace(c, rule=printable(c.rule)) for c in found]


def _printable_names(names: Sequence[str]) -> Sequence[str]:
    return list(map(printable, names))


def _printable_groups(groups: Mapping[str, str]) -> Mapping[str, str]:
    return {printable(name): printable(member) for name, member in groups.items()}


def by_instance(scored: Iterable[Scored]) -> list[list[Scored]]:
    """The samples of each instance."""
    instances: dict[str, list[Scored]] = {}
    for one in scored:
        instances.setdefault(one.instance, []).append(one)
    return list(instances.values())


def clusters_of(instances: Iterable[Sequence[Scored]]) -> Clusters:
    """Which of these instances, each given by its samples, belong together."""
    return clusters(samples[0].cluster for samples in instances)


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
