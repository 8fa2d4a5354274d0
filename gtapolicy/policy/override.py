"""Overrides: the same tools with changed version rules (paper, Policy Override)."""

import random
from collections.abc import Iterator, Mapping, Set

import msgspec

from gtapolicy.policy.rules import Band, RuleTable, Span, Tool, check
from harness.errors import UserError

# A bound of a Band: gt, ge, lt or le, and its number.
Bound = tuple[str, int]
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
    # For each field: from the old bounds to the new numbers.
    replacements: dict[str, dict[Bound, int]] = {}
    for name, span in table.profile.items():
        if isinstance(span, Span):
            bands = [band for rule in tool.rules if isinstance(band := rule.when.get(name), Band)]
            bounds = {bound for band in bands for bound in _bounds(band)}
            replacements[name] = _new_numbers(bounds, name, span, tool, rng)
    rules = []
    for rule in tool.rules:
        when = {n: _moved(p, replacements[n]) if isinstance(p, Band) else p for n, p in rule.when.items()}
        rules.append(msgspec.structs.replace(rule, when=when))
    return msgspec.structs.replace(tool, rules=tuple(rules))


def _new_numbers(
    bounds: Set[Bound], name: str, span: Span, tool: Tool, rng: random.Random
) -> dict[Bound, int]:
    """A random number for each bound of a profile field. Bounds at the same threshold move together."""
    thresholds = sorted({_least_above(bound) for bound in bounds})
    # Thresholds differ by at least two; no integer is between "above 20" and "below 21".
    candidates = range(span.least + 1, span.most, 2)
    if len(thresholds) > len(candidates):
        raise UserError(
            f"override_bands: expected room for {len(thresholds)} thresholds of {name}, at a "
            f"distance of two, between {span.least} and {span.most} for {tool.name}; omit the flag"
        )
    new = dict(zip(thresholds, sorted(rng.sample(candidates, len(thresholds))), strict=True))
    # If a threshold is written both as le = 20 and as ge = 21, it becomes le = n and ge = n + 1.
    below = {_least_above(bound) for bound in bounds if bound[0] in BELOW}
    return {b: new[_least_above(b)] + (b[0] not in BELOW and _least_above(b) in below) for b in bounds}


def _bounds(band: Band) -> Iterator[Bound]:
    return ((kind, number) for kind, number in msgspec.structs.asdict(band).items() if number is not None)


def _least_above(bound: Bound) -> int:
    """The least integer above a threshold, such as 21 for both le = 20 and ge = 21."""
    kind, number = bound
    return number + 1 if kind in BELOW else number


def _moved(band: Band, replacement: Mapping[Bound, int]) -> Band:
    return Band(**{bound[0]: replacement[bound] for bound in _bounds(band)})
