"""The first error of each wrong answer, as the family determines it: its share of all scored responses."""

from collections.abc import Iterator

from harness.metrics.metric import Metric, mean_row
from harness.records import ReportRow
from harness.results import Result, Results


def by_error(metric: Metric, results: Results) -> Iterator[ReportRow]:
    """A row for each variant and each error that occurs under any variant, the most frequent error first."""
    errors = {r.score.key: _first_error(results, r) for r in results.results}
    labels = [label for label in errors.values() if label is not None]
    for label in sorted(set(labels), key=lambda label: (-labels.count(label), label)):

        def value(result: Result, label: str = label) -> float | None:
            return None if result.score.value is None else float(errors[result.score.key] == label)

        for variant, members in results.by_variant():
            yield mean_row(metric, variant, members, value, group="kind", member=label)


def _first_error(results: Results, result: Result) -> str | None:
    text, value = result.response.text, result.score.value
    if text is None or value is None or value == 1:
        return None
    return results.benchmark.family_of(result.instance).first_error(result.instance, result.variant, text)


FIRST_ERRORS = Metric(
    name="first errors",
    explanation="The share of responses whose answer is wrong and whose first error is of this kind.",
    direction="lower",
    aggregate=by_error,
)
