"""What agents that know nothing of the rules would score: rows beside a model's, so that it has a floor.

They answer the same instances: with nothing, with an empty call, always with the training split's most
frequent call, and with the right tool and arguments but always in version 1.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping

from gtapolicy import reasoning
from gtapolicy.build import FAMILY, target_call
from gtapolicy.calls import Call
from harness import variants
from harness.metrics import mean_row
from harness.parsing import in_box
from harness.records import Row
from harness.results import Result, Results, majorities
from harness.variants import Variant

EMPTY = reasoning.as_json(Call("", {}))


def dummies(results: Results) -> list[Row]:
    benchmark = results.benchmark
    if benchmark.manifest.family != FAMILY or "recall" in (
        results.results[0].instance.facts if results.results else ()
    ):
        return []
    frequent = {policy: ranked[0] for policy, ranked in majorities(benchmark).items()}
    return [
        mean_row(variant, f"dummy: {name}", members, _scored(results, variant, agent))
        for variant, members in results.by_variant()
        for name, agent in _agents(frequent).items()
    ]


Agent = Callable[[str | None, str], str]
"""From the policy and the target to what a dummy says; only version 1 looks at the target."""


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
