"""Gold reasoning for a call: which rule group, which band, why this version, where each argument comes from.

Written from the answer backwards, as the paper does for GTAPolicy (reverse chain of thought).
"""

from __future__ import annotations

import json

from gtapolicy.dataset.dialogs import Step
from gtapolicy.grading.calls import Call
from gtapolicy.policy.rules import Profile, Table, versioned
from gtapolicy.policy.wording import condition
from harness.parsing import in_box

ARGUMENT = "{name}: {value}, from {origin}."


def gold(table: Table, profile: Profile, step: Step, done: int) -> str:
    """A right response: reasoning, then the call in a box; done is how many calls stand in the history."""
    call = Call(table.decide(step.tool, profile), step.arguments)
    lines = [f"{_ordinal(done)}, the next call is to {step.tool}.", *_version(table, profile, step)]
    for name, value in step.arguments.items():
        origin = step.origins.get(name, "the query and the history")
        lines.append(ARGUMENT.format(name=name, value=json.dumps(value, ensure_ascii=False), origin=origin))
    return "<think>\n" + "\n".join(lines) + f"\n</think>\n{in_box(as_json(call))}"


def as_json(call: Call) -> str:
    return json.dumps({"name": call.name, "arguments": dict(call.arguments)}, ensure_ascii=False)


def _version(table: Table, profile: Profile, step: Step) -> list[str]:
    if step.math:
        return [f"{e.condition[0].upper()}{e.condition[1:]}, so {e.use} is used and not {e.instead_of}."
                for e in table.exclusions if e.use == step.tool]  # fmt: skip
    for rule in table.tool(step.tool).rules:
        if rule.holds(profile):
            facts = ", ".join(f"{name} {profile[name]}" for name in rule.when)
            name = versioned(step.tool, rule.use)
            return [f"The user has {facts}. If {condition(rule)}, use {name}. So {name} holds."]
    return [f"{step.tool} has no versions."]


def _ordinal(done: int) -> str:
    return "Nothing is done yet" if done == 0 else f"After {done} call{'s' if done > 1 else ''}"
