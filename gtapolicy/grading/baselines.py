"""The scores of agents that know none of the rules, as a lower bound for the scores of a model.

There are four agents, which answer the same instances as the model. They respond with nothing, with an empty
call, with the most frequent call of the training split, or with the correct call in version 1.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from statistics import mode
from typing import Any

from gtapolicy.dataset.instances import FAMILY
from gtapolicy.grading.calls import Call
from harness import variants
from harness.files.benchmark import RECALL, Benchmark
from harness.metrics.metric import Metric, mean_row
from harness.parsing import in_box
from harness.records import Instance, ReportRow
from harness.results import Result, Results, training_instances
from harness.variants import Variant

EMPTY = Call("", {}).to_json()
# Returns a response, given the policy's id and the target. Only "always version 1" uses the target.
Agent = Callable[[str | None, str], str]


def by_agent(metric: Metric, results: Results) -> Iterator[ReportRow]:
    benchmark = results.benchmark
    if benchmark.manifest.family != FAMILY or any(r.instance.split == RECALL for r in results.results):
        return
    training = training_instances(benchmark, (r.instance for r in results.results))
    frequent = _frequent_calls(training)
    agents: dict[str, Agent] = {
        "nothing": lambda _policy, _target: "",
        "empty call": lambda _policy, _target: in_box(EMPTY),
        "most frequent call": lambda policy, _target: in_box(frequent.get(policy, EMPTY)),
        "always version 1": lambda _policy, target: in_box(_first_version(target)),
    }
    for variant, members in results.by_variant():
        for name, agent in agents.items():
            score = partial(_score, agent, benchmark, variant)
            yield mean_row(metric, variant, members, score, detail=name)


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


def _first_version(target: str) -> str:
    call = Call.from_json(target)
    return Call(re.sub(r"_v\d+$", "_v1", call.name), call.arguments).to_json()


def _score(agent: Agent, benchmark: Benchmark, variant: Variant, result: Result) -> float | None:
    instance = result.instance
    policy, target = variants.policy_id(instance, variant), variants.target(instance, variant)
    if target is None:
        return None
    return benchmark.family_of(instance).grade_agent(instance, target, partial(agent, policy)).value


BASELINE = Metric(
    name="baseline",
    explanation="The score of an agent that knows none of the rules, on the same instances.",
    direction="neither",
    aggregate=by_agent,
)
