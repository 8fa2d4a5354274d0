"""Overrides: the same tools with changed version rules (paper, Policy Override)."""

import random
from collections.abc import Mapping, Sequence

import msgspec

from gtapolicy.policy.conditions import Band, Rule
from gtapolicy.policy.rules import RuleTable, Span, Tool
from harness.errors import UserError

# The kinds of bounds whose number is just below the threshold. For ge and lt it is just above.
BELOW = ("gt", "le")


def make_override(table: RuleTable, rng: random.Random, change_bands: bool = False) -> RuleTable:
    """A copy of the table in which every rule has another version.

    With `change_bands`, the thresholds of the bands are also replaced by random numbers.
    """
    tools = []
    for tool in table.tools:
        changed = _permute_versions(tool, rng) if tool.rules else tool
        tools.append(_change_bands(changed, table, rng) if change_bands else changed)
    return msgspec.structs.replace(table, tools=tuple(tools))


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
    rules = tool.rules
    for name, span in table.profile.items():
        if isinstance(span, Span):
            bands = [band for rule in rules if isinstance(band := rule.when.get(name), Band)]
            thresholds = sorted({_below(*bound) for band in bands for bound in band.bounds.items()})
            new = _new_numbers(thresholds, name, span, tool, rng)
            rules = tuple(_moved(rule, name, new) for rule in rules)
    return msgspec.structs.replace(tool, rules=rules)


def _new_numbers(old: Sequence[int], name: str, span: Span, tool: Tool, rng: random.Random) -> dict[int, int]:
    # Thresholds differ by at least two; no integer is between "above 20" and "below 21".
    candidates = range(span.least + 1, span.most, 2)
    if len(old) > len(candidates):
        raise UserError(
            f"override_bands: expected room for {len(old)} thresholds of {name}, at a "
            f"distance of two, between {span.least} and {span.most} for {tool.name}; omit the flag"
        )
    return dict(zip(old, sorted(rng.sample(candidates, len(old))), strict=True))


def _moved(rule: Rule, name: str, new: Mapping[int, int]) -> Rule:
    """The rule with other thresholds of a profile field."""
    if not isinstance(band := rule.when.get(name), Band):
        return rule
    moved = {kind: new[_below(kind, number)] + (kind not in BELOW) for kind, number in band.bounds.items()}
    return msgspec.structs.replace(rule, when={**rule.when, name: Band(**moved)})


def _below(kind: str, number: int) -> int:
    """The greatest integer below a threshold, such as 20 for both le = 20 and ge = 21."""
    return number if kind in BELOW else number - 1
