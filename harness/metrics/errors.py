"""The first error of each wrong answer, as the family determines it: its share of all scored responses."""

from collections import Counter
from collections.abc import Iterator

from harness.metrics.metric import Metric, mean_row
from harness.records import ReportRow
from harness.results import Result, Results, Scored
from harness.text import short

# The most kinds of errors with rows of their own. Labels contain names, and models can invent any number.
MAX_KINDS = 30
OTHER = "other"
# The most characters of a label.
MAX_LABEL = 60


def first_error(results: Results, result: Result) -> str | None:
    text, value = result.response.text, result.score.value
    if text is None or value is None or value == 1:
        return None
    label = results.first_error(result)
    return None if label is None else short(label, MAX_LABEL)


def by_error(metric: Metric, results: Results) -> Iterator[ReportRow]:
    """A row for each variant and each error that occurs under any variant, the most frequent error first.

    If there are more than MAX_KINDS errors, those that are not more frequent than the next one share a row.
    """
    label = metric.of
    counts = Counter(found for scored in results.scored if (found := label(scored)) is not None)
    ranked = sorted(counts, key=lambda label: (-counts[label], label))
    rarest = counts[ranked[MAX_KINDS]] if len(ranked) > MAX_KINDS else 0
    kinds = {label: label if counts[label] > rarest else OTHER for label in ranked}
    for kind in dict.fromkeys(kinds.values()):

        def value(scored: Scored, kind: str = kind) -> float | None:
            return None if scored.value is None else float(kinds.get(label(scored)) == kind)

        for variant, members in results.by_variant():
            yield mean_row(metric, variant, members, value, group="kind", member=kind)


FIRST_ERRORS = Metric(
    name="first errors",
    explanation="The share of responses whose answer is wrong and whose first error is of this kind.",
    direction="lower",
    observe=first_error,
    aggregate=by_error,
)
