"""The first error of each wrong answer, as the family determines it: its share of all scored responses."""

from collections import Counter
from collections.abc import Iterator

from harness.metrics.metric import Metric, mean_row
from harness.records import ReportRow
from harness.results import Result, Results

# The most kinds of errors with rows of their own; the rarer ones share the row OTHER.
MOST_KINDS = 40
OTHER = "other"


def by_error(metric: Metric, results: Results) -> Iterator[ReportRow]:
    """A row for each variant and each error that occurs under any variant, the most frequent error first."""
    found = {r.score.key: _first_error(results, r) for r in results.results}
    counts = Counter(label for label in found.values() if label is not None)
    ranked = sorted(counts, key=lambda label: (-counts[label], label))
    # Labels can contain names that a model invented.
    rare = dict.fromkeys(ranked[MOST_KINDS:], OTHER)
    errors = {key: rare.get(label, label) for key, label in found.items() if label is not None}
    for label in dict.fromkeys(rare.get(label, label) for label in ranked):

        def value(result: Result, label: str = label) -> float | None:
            return None if result.score.value is None else float(errors.get(result.score.key) == label)

        for variant, members in results.by_variant():
            yield mean_row(metric, variant, members, value, group="kind", member=label)


def _first_error(results: Results, result: Result) -> str | None:
    text, value = result.response.text, result.score.value
    if text is None or value is None or value == 1:
        return None
    return results.first_error(result)


FIRST_ERRORS = Metric(
    name="first errors",
    explanation="The share of responses whose answer is wrong and whose first error is of this kind.",
    direction="lower",
    aggregate=by_error,
)
