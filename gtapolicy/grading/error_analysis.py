"""What went wrong first in a wrong call: the tool, its version and the predicate misread, or an argument."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gtapolicy.grading.calls import Call, CallError, parse_call, score_call
from gtapolicy.policy.reasoning import as_json
from gtapolicy.policy.rules import Table, base_name, satisfies


def first_fault(table: Table, facts: Mapping[str, Any], gold: Call, text: str) -> str | None:
    """unparsed, history ignored, wrong tool, unknown version, wrong version (and the field that was misread),
    missing, unknown or wrong argument (and its name); None where nothing is wrong."""
    try:
        call = parse_call(text)
    except CallError:
        return "unparsed"
    if call.name != gold.name:
        if as_json(call) in facts["history"]:
            return "history ignored"
        if base_name(call.name) != base_name(gold.name):
            return "wrong tool"
        return _misread(table, facts["profile"], call.name)
    names = {argument.name for argument in table.tool(base_name(gold.name)).arguments}
    if missing := sorted(gold.arguments.keys() - call.arguments.keys()):
        return f"missing argument: {missing[0]}"
    if unknown := sorted(call.arguments.keys() - names):
        return f"unknown argument: {unknown[0] if len(unknown[0]) < 30 else 'a long name'}"
    for name in gold.arguments:
        one = {name: call.arguments[name]}
        if score_call(Call(gold.name, {**gold.arguments, **one}), gold, table).parts["arguments"] < 1:
            return f"wrong argument: {name}"
    extra = call.arguments.keys() - gold.arguments.keys()
    return (
        f"wrong argument: {sorted(extra)[0]}" if extra and score_call(call, gold, table).value != 1 else None
    )


def _misread(table: Table, profile: Mapping[str, str | int], name: str) -> str:
    """The first field of the profile for which the rule of the version that was called does not hold."""
    tool = table.tool(base_name(name))
    for rule in tool.rules:
        if name == f"{tool.name}_{rule.use}":
            for field, predicate in rule.when.items():
                if not satisfies(predicate, profile[field]):
                    return f"wrong version: {field} misread"
    return "unknown version"
