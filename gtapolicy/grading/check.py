"""Which version rules a response cites, and whether what it says of them is true."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gtapolicy.policy.rules import Predicate, Table, versioned
from gtapolicy.policy.wording import parse_condition
from harness.parsing import boxed
from harness.records import CitedRule

NAME = re.compile(r"(?<![\w-])([A-Za-z0-9_-]+_v\d+)\b")
QUOTED = re.compile(r"\bif ([^.\n]{1,300}?), (?:then )?use ([A-Za-z0-9_-]+_v\d+)\b", re.IGNORECASE)


def cited(table: Table, text: str) -> list[CitedRule]:
    """A claim for each quoted rule ("If ..., use X_v2") and each version only named; the answer is none."""
    answer = boxed(text)
    body = text if answer is None else text[: text.rfind(r"\boxed{")]
    rules: dict[str, list[dict[str, Predicate]]] = {}
    for tool in table.tools:
        for rule in tool.rules:
            rules.setdefault(versioned(tool.name, rule.use), []).append(rule.when)
    return list(_claims(rules, body))


def _claims(rules: dict[str, list[dict[str, Predicate]]], body: str) -> Iterator[CitedRule]:
    quoted = set()
    for condition, name in QUOTED.findall(body):
        quoted.add(name)
        yield CitedRule(name, name in rules, {"condition": parse_condition(condition) in rules.get(name, [])})
    for name in dict.fromkeys(NAME.findall(body)):
        if name not in quoted:
            yield CitedRule(name, name in rules)
