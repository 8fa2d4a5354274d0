"""The mean of each named part of a score, such as the tool and the arguments of a call."""

from collections.abc import Iterator

from harness.metrics.metric import Metric, mean_row
from harness.records import ReportRow
from harness.results import Results


def by_part(metric: Metric, results: Results) -> Iterator[ReportRow]:
    for variant, members in results.by_variant():
        for part in dict.fromkeys(name for r in members for name in r.score.parts):
            having = [r for r in members if part in r.score.parts or r.response.error is not None]
            yield mean_row(metric, variant, having, lambda r, part=part: r.score.parts.get(part), detail=part)  # type: ignore[misc]


PARTS = Metric(
    name="part",
    explanation="The mean of one named part of the score over the responses that have it.",
    aggregate=by_part,
)
