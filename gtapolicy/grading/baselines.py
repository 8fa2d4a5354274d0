"""The scores of agents that know none of the rules, as a lower bound for the scores of a model.

There are four agents, which answer the same instances as the model. They respond with nothing, with an empty
call, with the most frequent call of the training split, or with the correct call in version 1.
"""

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from statistics import mode
from typing import Any

from gtapolicy.dataset.instances import FAMILY
from gtapolicy.grading.calls import Call
from harness import variants
from harness.files.benchmark import RECALL
from harness.metrics.metric import Metric, rows_by_part
from harness.parsing import in_box
from harness.records import Instance
from harness.results import Result, Results, training_instances

EMPTY = Call("", {}).to_json()
# The name of a call as JSON, up to its version.
VERSION = re.compile(r'^(\{"name": "[\w-]+)_v\d+(?=")')


def scores(results: Results, result: Result) -> tuple[float | None, ...] | None:
    """The score of each agent on an instance; None for another family and for questions of recall."""
    benchmark, instance, variant = results.benchmark, result.instance, result.variant
    policy, target = variants.policy_id(instance, variant), variants.target(instance, variant)
    if benchmark.manifest.family != FAMILY or instance.split == RECALL or target is None:
        return None
    frequent = results.once(
        "frequent calls", lambda: _frequent_calls(training_instances(benchmark, results.instances))
    )
    family = benchmark.family_of(instance)
    common = in_box(frequent.get(policy, EMPTY))
    return tuple(
        family.grade_agent(instance, target, partial(agent, common)).value for agent in AGENTS.values()
    )


def _frequent_calls(instances: Iterable[Instance]) -> dict[str | None, str]:
    """For each policy, its most frequent call."""
    calls: dict[str | None, list[Call]] = {}
    for instance in instances:
        for variant in (variants.INTERNALIZED, variants.OVERRIDE):
            if (target := variants.target(instance, variant)) is not None:
                calls.setdefault(variants.policy_id(instance, variant), []).append(Call.from_json(target))
    return {policy: _most_frequent(of_policy).to_json() for policy, of_policy in calls.items()}


def _most_frequent(calls: Sequence[Call]) -> Call:
    """The most frequent name with the most frequent value of each of its arguments.

    Hardly any complete call occurs twice, so each value is chosen separately. An argument is omitted if most
    calls omit it. If two values are equally frequent, the first is chosen.
    """
    name = mode(call.name for call in calls)
    given: list[Mapping[str, Any]] = [call.arguments for call in calls if call.name == name]
    keys = dict.fromkeys(key for arguments in given for key in arguments)
    frequent = {key: mode(arguments.get(key) for arguments in given) for key in keys}
    return Call(name, {key: value for key, value in frequent.items() if value is not None})


# Each returns a response, given the most frequent one and the correct call.
AGENTS: Mapping[str, Callable[[str, str], str]] = {
    "nothing": lambda _frequent, _target: "",
    "empty call": lambda _frequent, _target: in_box(EMPTY),
    "most frequent call": lambda frequent, _target: frequent,
    "always version 1": lambda _frequent, target: in_box(VERSION.sub(r"\1_v1", target)),
}


BASELINE = Metric(
    name="baseline",
    explanation="The score of an agent that knows none of the rules, on the same instances.",
    direction="neither",
    observe=scores,
    aggregate=partial(rows_by_part, parts=tuple(AGENTS)),
)
