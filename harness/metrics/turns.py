"""Multi-turn: the turns that a dialog took, its wrong calls, and the calls that are recorded for it."""

from collections.abc import Callable, Iterator, Mapping

from harness import variants
from harness.dialogs.dialog import Rollout
from harness.metrics.metric import NUMBER, Metric, mean_row
from harness.records import MULTI_TURN, ReportRow
from harness.results import Key, Result, Results

COUNTS: Mapping[str, Callable[[Rollout], int]] = {
    "taken": lambda rollout: len(rollout.outcomes),
    "recorded": lambda rollout: len(rollout.steps),
    "wrong calls": lambda rollout: rollout.wrong_calls,
}


def by_count(metric: Metric, results: Results) -> Iterator[ReportRow]:
    if not all(r.instance.split.endswith(MULTI_TURN) for r in results.results):
        return
    rollouts = {r.score.key: _rollout(results, r) for r in results.results if r.response.error is None}
    for variant, members in results.by_variant():
        for detail, count in COUNTS.items():
            yield mean_row(metric, variant, members, _of(rollouts, count), detail=detail)


def _rollout(results: Results, result: Result) -> Rollout:
    instance = result.instance
    target = variants.target(instance, result.variant) or instance.target
    return results.benchmark.dialogs.replay(instance, target, result.response.text or "")


def _of(rollouts: Mapping[Key, Rollout], count: Callable[[Rollout], int]) -> Callable[[Result], float | None]:
    """What to count in a result; None if its request failed."""
    return lambda result: count(rollouts[result.score.key]) if result.score.key in rollouts else None


TURNS = Metric(
    name="turns",
    explanation="How many turns a dialog took, how many calls are recorded for it, and how many of its calls "
    "were wrong.",
    unit=NUMBER,
    direction="neither",
    aggregate=by_count,
)
