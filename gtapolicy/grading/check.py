"""Finds the version rules that a response cites and checks them against the table of rules."""

import re

from gtapolicy.policy.conditions import comparable, condition
from gtapolicy.policy.rules import RuleTable
from harness.parsing import without_boxes
from harness.records import CitedRule

# Names in responses are limited in length, because reports contain them.
_TOOL = r"[A-Za-z0-9_-]{1,60}_v\d{1,9}"
NAME = re.compile(rf"(?<![\w-])({_TOOL})\b")
QUOTED = re.compile(rf"\bif ([^.\n]{{1,300}}?), (?:then )?use ({_TOOL})\b", re.IGNORECASE)


def check_citations(text: str, table: RuleTable) -> list[CitedRule]:
    """One CitedRule for each quoted rule ("If ..., use X_v2") and for each version named without a rule.

    The boxed answer is ignored, because it is not part of the reasoning.
    """
    text = without_boxes(text)
    rules = {name: rule for tool in table.tools for name, rule in tool.named_rules.items()}
    cited = []
    for quoted_text, name in QUOTED.findall(text):
        correct = name in rules and comparable(quoted_text) == comparable(condition(rules[name]))
        cited.append(CitedRule(name, name in rules, {"condition": correct}))
    quoted = {rule.rule for rule in cited}
    only_named = [name for name in dict.fromkeys(NAME.findall(text)) if name not in quoted]
    return cited + [CitedRule(name, name in rules) for name in only_named]
