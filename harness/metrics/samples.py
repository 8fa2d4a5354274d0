"""Several samples per prompt: all correct (pass^k), any correct (pass@k), and the majority answer.

The unit of the interval is the instance. If requests failed, pass^k is known only if another sample is
wrong, pass@k only if another sample is correct, and the majority only if the failed samples could not change
it. The majority is determined only for benchmarks whose prompts ask for a boxed answer.
"""

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Sequence
from dataclasses import replace

from harness.metrics.metric import Metric, mean_row
from harness.parsing import boxed, plain
from harness.records import ReportRow
from harness.results import Result, Results, Scored, by_instance

# A value computed from all samples of one instance, and the answers that they give.
Measure = Callable[[Sequence[Scored], Sequence[Hashable]], float | None]
# What is kept in place of an answer if the benchmark does not ask for a box.
NO_BOX = "no box"


def _over_samples(measure: Measure) -> Callable[[Metric, Results], Iterable[ReportRow]]:
    def aggregate(metric: Metric, results: Results) -> Iterator[ReportRow]:
        kept = metric.of
        for variant, members in results.by_variant():
            instances = by_instance(members)
            k = max(map(len, instances))
            if k == 1 or kept(members[0]) == NO_BOX:
                continue
            measured = {samples[0].key: measure(samples, list(map(kept, samples))) for samples in instances}
            firsts = [samples[0] for samples in instances]
            row = mean_row(metric, variant, firsts, lambda scored: measured[scored.key], detail=f"k = {k}")  # noqa: B023
            yield replace(row, unparsed=0, truncated=0, errors=len(instances) - row.n)

    return aggregate


def answer(results: Results, result: Result) -> int | str | None:
    """The same number for equal answers; None without an answer, or if there is only one sample."""
    if results.samples == 1:
        return None
    family = results.benchmark.family_of(result.instance)
    if boxed(family.respond(result.instance.target)) is None:
        return NO_BOX
    given = plain(boxed(result.response.text or "") or "")
    # Answers can be long, and only whether they are equal matters.
    return hash(given) if given else None


def every(samples: Sequence[Scored], _answers: Sequence[Hashable]) -> float | None:
    values = [scored.value for scored in samples]
    if any(value is not None and value < 1 for value in values):
        return 0.0
    return None if None in values else 1.0


def some(samples: Sequence[Scored], _answers: Sequence[Hashable]) -> float | None:
    values = [scored.value for scored in samples]
    return 1.0 if 1.0 in values else None if None in values else 0.0


def majority(samples: Sequence[Scored], answers: Sequence[Hashable]) -> float | None:
    """The score of the most frequent answer, or of the first one in a tie; 0 if no answer can be parsed.

    None if failed requests are so many that their answers could decide.
    """
    votes = Counter(given for given in answers if given is not None)
    (chosen, most), (_, second) = [*votes.most_common(2), (None, 0), (None, 0)][:2]
    failed = sum(scored.failed for scored in samples)
    if failed and failed >= most - second:
        return None
    return 0.0 if chosen is None else samples[answers.index(chosen)].value


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
    observe=answer,
    aggregate=_over_samples(majority),
    headline=True,
)
