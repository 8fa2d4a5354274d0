"""Overrides: the same tools with changed version rules (paper, Policy Override)."""

import random
from collections.abc import Mapping

import msgspec

from gtapolicy.policy.rules import Band, RuleTable, Span, Tool, check
from harness.errors import UserError


def make_override(table: RuleTable, rng: random.Random, change_bands: bool = False) -> RuleTable:
    """A copy of the table in which every rule has another version.

    With `change_bands`, the thresholds of the bands are also replaced by random numbers.
    """
    tools = []
    for tool in table.tools:
        changed = _permute_versions(tool, rng) if tool.rules else tool
        tools.append(_change_bands(changed, table, rng) if change_bands else changed)
    result = msgspec.structs.replace(table, tools=tuple(tools))
    check(result)
    return result


def _permute_versions(tool: Tool, rng: random.Random) -> Tool:
    """The tool with its versions permuted at random, so that every rule has another version."""
    old = list(tool.versions)
    new = old[:]
    while any(a == b for a, b in zip(old, new, strict=True)):
        rng.shuffle(new)
    replacement = dict(zip(old, new, strict=True))
    rules = tuple(msgspec.structs.replace(rule, use=replacement[rule.use]) for rule in tool.rules)
    return msgspec.structs.replace(tool, rules=rules)


def _change_bands(tool: Tool, table: RuleTable, rng: random.Random) -> Tool:
    """The tool with random thresholds.

    A threshold changes in all rules at once, and the order of the thresholds stays the same. Therefore
    exactly one rule still applies to every profile.
    """
    # For each field: from the old threshold to the new one.
    replacements: dict[str, dict[int, int]] = {}
    for name, span in table.profile.items():
        if isinstance(span, Span):
            thresholds = tool.thresholds(name)
            # Thresholds differ by at least two; no integer is between "above 20" and "below 21".
            candidates = range(span.least + 1, span.most, 2)
            if len(thresholds) > len(candidates):
                raise UserError(
                    f"--override-bands: expected room for {len(thresholds)} thresholds of {name}, at a "
                    f"distance of two, between {span.least} and {span.most} for {tool.name}; omit the flag"
                )
            new = sorted(rng.sample(candidates, len(thresholds)))
            replacements[name] = dict(zip(thresholds, new, strict=True))
    rules = []
    for rule in tool.rules:
        when = {n: _moved(p, replacements[n]) if isinstance(p, Band) else p for n, p in rule.when.items()}
        rules.append(msgspec.structs.replace(rule, when=when))
    return msgspec.structs.replace(tool, rules=tuple(rules))


def _moved(band: Band, replacement: Mapping[int, int]) -> Band:
    bounds = msgspec.structs.asdict(band)
    return Band(**{name: replacement[bound] for name, bound in bounds.items() if bound is not None})
