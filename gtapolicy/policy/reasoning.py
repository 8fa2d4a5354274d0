"""Gold responses: which rule applies and why, where each argument comes from, then the call.

The reasoning is written from the known answer, as in the paper (GTAPolicy, reverse chain of thought).
"""

import json

from gtapolicy.dataset.dialogs import Step
from gtapolicy.grading.calls import Call
from gtapolicy.policy.conditions import Profile, condition
from gtapolicy.policy.rules import RuleTable, versioned
from gtapolicy.policy.wording import exclusion_text
from harness.parsing import in_box


def gold_call(table: RuleTable, profile: Profile, step: Step) -> Call:
    """The call of this step, with the version that applies to the profile."""
    return Call(table.decide(step.tool, profile), step.arguments)


def gold(table: RuleTable, profile: Profile, step: Step, done: int) -> str:
    """A correct response: reasoning, then the call in a box. `done` is the number of earlier calls."""
    reason = table.reason(step.tool, step.tip)
    progress = f"After {done} call{'s' if done > 1 else ''}" if done else "Nothing is done yet"
    lines = [f"{progress}. {step.tool} is next: {reason}", *_version(table, profile, step)]
    for name, value in step.arguments.items():
        origin = step.origins.get(name, "the query and the history")
        lines.append(f"{name}: {json.dumps(value, ensure_ascii=False)}, from {origin}.")
    call = gold_call(table, profile, step).to_json()
    return "<think>\n" + "\n".join(lines) + f"\n</think>\n{in_box(call)}"


def _version(table: RuleTable, profile: Profile, step: Step) -> list[str]:
    if (rule := table.tool(step.tool).rule(profile)) is None:
        exclusions = [exclusion_text(e) for e in table.exclusions if e.use == step.tool]
        return exclusions or [f"{step.tool} has no versions."]
    name = versioned(step.tool, rule.use)
    return [f"The user has {rule.facts(profile)}. If {condition(rule)}, use {name}. So {name} holds."]
