"""Multi-turn: the turns that a dialog took, its wrong calls, and the calls that are recorded for it."""

from functools import partial

from harness import variants
from harness.metrics.metric import NUMBER, Metric, rows_by_part
from harness.records import MULTI_TURN
from harness.results import Result, Results

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


TURNS = Metric(
    name="turns",
    explanation="How many turns a dialog took, how many calls are recorded for it, and how many of its calls "
    "were wrong.",
    unit=NUMBER,
    direction="neither",
    observe=counts,
    aggregate=partial(rows_by_part, parts=COUNTS),
)
