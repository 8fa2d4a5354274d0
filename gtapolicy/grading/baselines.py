"""The scores of agents that know none of the rules, as a floor for the scores of a model.

They answer the same instances: with nothing; with an empty call; always with the most frequent tool of the
training split and the most frequent value of each of its arguments (hardly any whole call occurs twice); and
with the correct tool and arguments but always in version 1.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from gtapolicy.dataset.instances import FAMILY, target_call
from gtapolicy.grading.calls import Call
from gtapolicy.policy import reasoning
from harness import variants
from harness.files.benchmark import RECALL, Benchmark
from harness.metrics.metric import Metric, mean_row
from harness.parsing import in_box
from harness.records import ReportRow
from harness.results import Result, Results
from harness.variants import Variant

T = TypeVar("T")
EMPTY = reasoning.as_json(Call("", {}))


def by_agent(metric: Metric, results: Results) -> Iterator[ReportRow]:
    benchmark = results.benchmark
    if benchmark.manifest.family != FAMILY or any(r.instance.split == RECALL for r in results.results):
        return
    frequent = _frequent(benchmark)
    for variant, members in results.by_variant():
        for name, agent in _agents(frequent).items():
            yield mean_row(metric, variant, members, _scored(results, variant, agent), detail=name)


def _frequent(benchmark: Benchmark) -> dict[str | None, str]:
    """By policy: the call made of what its training targets have most often, the first among equals."""
    calls: dict[str | None, list[Call]] = {}
    for instance in benchmark.instances("train"):
        for variant in (variants.INTERNALIZED, variants.OVERRIDE):
            target = variants.target(instance, variant)
            if target is not None:
                calls.setdefault(variants.policy_id(instance, variant), []).append(target_call(target))
    return {policy: reasoning.as_json(_typical(found)) for policy, found in calls.items()}


def _typical(calls: Sequence[Call]) -> Call:
    """An argument that most calls of the name leave out is left out."""
    name = _most(call.name for call in calls)
    given = [call.arguments for call in calls if call.name == name]
    keys = dict.fromkeys(key for arguments in given for key in arguments)
    frequent = {key: _most(arguments.get(key) for arguments in given) for key in keys}
    return Call(name, {key: value for key, value in frequent.items() if value is not None})


def _most(values: Iterable[T]) -> T:
    return Counter(values).most_common(1)[0][0]


Agent = Callable[[str | None, str], str]
# From the policy and the target to a response. Only "always version 1" reads the target.


def _agents(frequent: Mapping[str | None, str]) -> dict[str, Agent]:
    return {
        "nothing": lambda _policy, _target: "",
        "empty call": lambda _policy, _target: in_box(EMPTY),
        "most frequent call": lambda policy, _target: in_box(frequent.get(policy, EMPTY)),
        "always version 1": lambda _policy, target: in_box(_first_version(target)),
    }


def _first_version(target: str) -> str:
    call = target_call(target)
    return reasoning.as_json(Call(re.sub(r"_v\d+$", "_v1", call.name), call.arguments))


def _scored(results: Results, variant: Variant, agent: Agent) -> Callable[[Result], float | None]:
    family = results.benchmark.family

    def value(result: Result) -> float | None:
        policy, target = (
            variants.policy_id(result.instance, variant),
            variants.target(result.instance, variant),
        )
        return None if target is None else family.grade(result.instance, target, agent(policy, target)).value

    return value


BASELINE = Metric(
    name="baseline",
    explanation="The score of an agent that knows none of the rules, on the same instances.",
    direction="neither",
    aggregate=by_agent,
)
