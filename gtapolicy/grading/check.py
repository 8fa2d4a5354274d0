"""Finds the version rules that a response cites and checks them against the table of rules."""

import re

from gtapolicy.policy.rules import Predicate, RuleTable, versioned
from gtapolicy.policy.wording import parse_condition
from harness.parsing import boxed
from harness.records import CitedRule

NAME = re.compile(r"(?<![\w-])([A-Za-z0-9_-]+_v\d+)\b")
QUOTED = re.compile(r"\bif ([^.\n]{1,300}?), (?:then )?use ([A-Za-z0-9_-]+_v\d+)\b", re.IGNORECASE)


def check_citations(text: str, table: RuleTable) -> list[CitedRule]:
    """One CitedRule for each quoted rule ("If ..., use X_v2") and for each version named without a rule.

    The boxed answer is ignored, because it is not part of the reasoning.
    """
    if boxed(text) is not None:
        text = text[: text.rfind(r"\boxed{")]
    conditions: dict[str, list[dict[str, Predicate]]] = {}
    for tool in table.tools:
        for rule in tool.rules:
            conditions.setdefault(versioned(tool.name, rule.use), []).append(rule.when)
    cited = []
    for condition, name in QUOTED.findall(text):
        correct = parse_condition(condition) in conditions.get(name, [])
        cited.append(CitedRule(name, name in conditions, {"condition": correct}))
    quoted = {rule.rule for rule in cited}
    only_named = [name for name in dict.fromkeys(NAME.findall(text)) if name not in quoted]
    return cited + [CitedRule(name, name in conditions) for name in only_named]
