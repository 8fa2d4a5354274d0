"""Several samples per prompt: all correct (pass^k), any correct (pass@k), and the majority answer.

The unit of the interval is the instance. If requests failed, pass^k is known only if another sample is
wrong, and pass@k only if another sample is correct. The majority is determined only for benchmarks whose
prompts ask for a boxed answer.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace

from harness.metrics.metric import Metric, mean_row
from harness.parsing import boxed, plain
from harness.records import ReportRow
from harness.results import Result, Results, by_instance

# A value computed from all samples of one instance.
Measure = Callable[[Sequence[Result]], float | None]


def _over_samples(
    measure: Measure, boxed_only: bool = False
) -> Callable[[Metric, Results], Iterable[ReportRow]]:
    def aggregate(metric: Metric, results: Results) -> Iterator[ReportRow]:
        for variant, members in results.by_variant():
            instances = by_instance(members)
            k = max(map(len, instances))
            if k == 1 or (boxed_only and not _asks_for_box(results, members[0])):
                continue
            measured = {samples[0].score.key: measure(samples) for samples in instances}
            firsts = [samples[0] for samples in instances]
            row = mean_row(metric, variant, firsts, lambda r: measured[r.score.key], detail=f"k = {k}")  # noqa: B023
            yield replace(row, unparsed=0, truncated=0, errors=len(instances) - row.n)

    return aggregate


def _asks_for_box(results: Results, result: Result) -> bool:
    family = results.benchmark.family_of(result.instance)
    return boxed(family.respond(result.instance.target)) is not None


def every(samples: Sequence[Result]) -> float | None:
    values = [r.score.value for r in samples]
    if any(value is not None and value < 1 for value in values):
        return 0.0
    return None if None in values else 1.0


def some(samples: Sequence[Result]) -> float | None:
    values = [r.score.value for r in samples]
    return 1.0 if 1.0 in values else None if None in values else 0.0


def majority(samples: Sequence[Result]) -> float | None:
    """The score of the most frequent answer, or of the first one in a tie; 0 if no answer can be parsed."""
    answered = [r for r in samples if r.response.text is not None]
    votes = Counter(answer for r in answered if (answer := _answer(r)))
    if not votes:
        return 0.0 if answered else None
    chosen, _ = votes.most_common(1)[0]
    return next(r.score.value for r in answered if _answer(r) == chosen)


def _answer(result: Result) -> str:
    return plain(boxed(result.response.text or "") or "")


PASS_ALL = Metric(
    name="pass^k",
    explanation="The share of instances whose k samples are all entirely correct.",
    aggregate=_over_samples(every),
    headline=True,
)
PASS_ANY = Metric(
    name="pass@k",
    explanation="The share of instances with at least one entirely correct sample out of k.",
    aggregate=_over_samples(some),
    headline=True,
)
MAJORITY_VOTE = Metric(
    name="majority of k",
    explanation="The score of the answer that most of an instance's k samples give.",
    aggregate=_over_samples(majority, boxed_only=True),
    headline=True,
)
