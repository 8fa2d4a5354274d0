"""Determines the first error of a wrong call. The labels, in the order in which they are tested:

- "unparsed": the response contains no valid call.
- "repeated call": the interaction history already contains this call.
- "wrong tool".
- "unknown version": the tool is correct, but does not have this version.
- "wrong version: credits": the version's rule does not apply, because of this field of the user's profile.
- "missing argument: k", "unknown argument: k", "wrong argument: k": the first argument with this error.
"""

from collections.abc import Mapping
from typing import Any

from gtapolicy.grading.calls import Call, argument_scores, parse_call
from gtapolicy.policy.conditions import satisfies
from gtapolicy.policy.rules import RuleTable, base_name
from harness.text import printable, short


def first_error(text: str, gold: Call, facts: Mapping[str, Any], table: RuleTable) -> str | None:
    """The label of the first error; None if the call is correct. `facts` are the facts of the instance."""
    if (call := parse_call(text)) is None:
        return "unparsed"
    if call.name != gold.name:
        if call.to_json() in facts["history"]:
            return "repeated call"
        if base_name(call.name) != base_name(gold.name):
            return "wrong tool"
        rules = table.tool(base_name(call.name)).named_rules
        when = rules[call.name].when if call.name in rules else {}
        fields = [field for field in when if not satisfies(facts["profile"][field], when[field])]
        return f"wrong version: {fields[0]}" if fields else "unknown version"
    scores = argument_scores(call, gold, table)
    wrong = [name for name in (*gold.arguments, *sorted(call.arguments)) if scores[name] < 1]
    known = {argument.name for argument in table.tool(base_name(gold.name)).arguments}
    if missing := [name for name in wrong if name not in call.arguments]:
        return f"missing argument: {min(missing)}"
    if unknown := [name for name in wrong if name not in known]:
        # A model wrote the name, and reports contain it.
        return f"unknown argument: {short(printable(min(unknown)))}"
    return f"wrong argument: {wrong[0]}" if wrong else None
