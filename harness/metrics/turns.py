"""Multi-turn: the turns that a dialog took, its wrong calls, and the calls that are recorded for it."""

from collections.abc import Iterator

from harness import variants
from harness.metrics.metric import NUMBER, Metric, mean_row
from harness.records import MULTI_TURN, ReportRow
from harness.results import Result, Results, Scored

# What is counted, in the order of `counts`.
COUNTS = "taken", "recorded", "wrong calls"


def counts(results: Results, result: Result) -> tuple[int, ...] | None:
    """None for a question that is no dialog; empty for a failed request."""
    instance = result.instance
    if not instance.split.endswith(MULTI_TURN):
        return None
    if result.response.error is not None:
        return ()
    target = variants.target(instance, result.variant) or instance.target
    rollout = results.benchmark.dialogs.replay(instance, target, result.response.text or "")
    return len(rollout.outcomes), len(rollout.steps), rollout.wrong_calls


def by_count(metric: Metric, results: Results) -> Iterator[ReportRow]:
    kept = metric.of
    if any(kept(scored) is None for scored in results.scored):
        return
    for variant, members in results.by_variant():
        for index, detail in enumerate(COUNTS):

            def count(scored: Scored, index: int = index) -> float | None:
                return None if scored.failed else kept(scored)[index]

            yield mean_row(metric, variant, members, count, detail=detail)


TURNS = Metric(
    name="turns",
    explanation="How many turns a dialog took, how many calls are recorded for it, and how many of its calls "
    "were wrong.",
    unit=NUMBER,
    direction="neither",
    observe=counts,
    aggregate=by_count,
)
