"""The first error of each wrong answer, as the family determines it: its share of all scored responses."""

from collections import Counter
from collections.abc import Iterator

from harness.metrics.metric import Metric, mean_row
from harness.records import ReportRow
from harness.results import Result, Results
from harness.text import printable, short

# The most kinds of errors with their own rows. Models can invent any number of names that labels contain.
MAX_KINDS = 30
OTHER = "other"
# The most characters of a label.
MAX_LABEL = 60


def by_error(metric: Metric, results: Results) -> Iterator[ReportRow]:
    """A row for each variant and each error that occurs under any variant, the most frequent error first.

    If there are more than MAX_KINDS errors, those that are not more frequent than the next one share a row.
    """
    errors = {r.score.key: _first_error(results, r) for r in results.results}
    counts = Counter(label for label in errors.values() if label is not None)
    ranked = sorted(counts, key=lambda label: (-counts[label], label))
    rarest = counts[ranked[MAX_KINDS]] if len(ranked) > MAX_KINDS else 0
    kinds = [label for label in ranked if counts[label] > rarest]
    for kind in [*kinds, OTHER] if rarest else kinds:

        def value(result: Result, kind: str = kind) -> float | None:
            label = errors[result.score.key]
            found = OTHER if label and counts[label] <= rarest else label
            return None if result.score.value is None else float(found == kind)

        for variant, members in results.by_variant():
            yield mean_row(metric, variant, members, value, group="kind", member=kind)


def _first_error(results: Results, result: Result) -> str | None:
    text, value = result.response.text, result.score.value
    if text is None or value is None or value == 1:
        return None
    family = results.benchmark.family_of(result.instance)
    label = family.first_error(result.instance, result.variant, text)
    return None if label is None else short(printable(label), MAX_LABEL)


FIRST_ERRORS = Metric(
    name="first errors",
    explanation="The share of responses whose answer is wrong and whose first error is of this kind.",
    direction="lower",
    aggregate=by_error,
)
