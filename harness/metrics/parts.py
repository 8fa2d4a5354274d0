"""The mean of each named part of a score, such as the tool and the arguments of a call."""

from collections.abc import Iterator

from harness.metrics.metric import Metric, mean_row
from harness.records import ReportRow
from harness.results import Result, Results, Scored


def parts(_results: Results, result: Result) -> tuple[tuple[str, float], ...]:
    return tuple(result.score.parts.items())


def by_part(metric: Metric, results: Results) -> Iterator[ReportRow]:
    kept = metric.of
    for variant, members in results.by_variant():
        for part in dict.fromkeys(name for scored in members for name, _ in kept(scored)):

            def value(scored: Scored, part: str = part) -> float | None:
                return dict(kept(scored)).get(part)

            having = [scored for scored in members if value(scored) is not None or scored.failed]
            yield mean_row(metric, variant, having, value, detail=part)


PARTS = Metric(
    name="part",
    explanation="The mean of one named part of the score over the responses that have it.",
    observe=parts,
    aggregate=by_part,
)
