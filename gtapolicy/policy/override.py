"""Changed version rules: the same bands with other versions, or other bands too (paper, Policy Override)."""

from __future__ import annotations

import random
from collections.abc import Mapping

import msgspec

from gtapolicy.policy.rules import Band, Predicate, Span, Table, Tool, check
from harness.errors import UserError


def overridden(table: Table, rng: random.Random, bands: bool = False) -> Table:
    """The table with every rule picking another version than before; with bands, thresholds moved too."""
    tools = []
    for tool in table.tools:
        changed = _renumbered(tool, rng) if tool.rules else tool
        tools.append(_rebanded(changed, table, rng) if bands else changed)
    result = msgspec.structs.replace(table, tools=tuple(tools))
    check(result)
    return result


def _renumbered(tool: Tool, rng: random.Random) -> Tool:
    """Versions swap roles, so that none keeps its own."""
    old = list(tool.versions)
    new = old[:]
    while any(a == b for a, b in zip(old, new, strict=True)):
        rng.shuffle(new)
    other = dict(zip(old, new, strict=True))
    rules = tuple(msgspec.structs.replace(rule, use=other[rule.use]) for rule in tool.rules)
    return msgspec.structs.replace(tool, rules=rules)


def _rebanded(tool: Tool, table: Table, rng: random.Random) -> Tool:
    """Thresholds of a field move in step and keep their order, so that the rules stay total."""
    moved: dict[str, dict[int, int]] = {}
    for name, span in table.profile.items():
        if isinstance(span, Span):
            bands = [p for rule in tool.rules if isinstance(p := rule.when.get(name), Band)]
            edges = sorted({edge for band in bands for edge in band.edges})
            # Two apart, or the whole numbers between "above 20" and "below 21" would be none.
            room = range(span.least + 1, span.most, 2)
            if len(edges) > len(room):
                raise UserError(
                    f"{tool.name}: expected room for {len(edges)} thresholds between {span.least} and "
                    f"{span.most}, two apart, to move those of {name}; leave --override-bands out"
                )
            moved[name] = dict(zip(edges, sorted(rng.sample(room, len(edges))), strict=True))
    rules = tuple(
        msgspec.structs.replace(rule, when={n: _moved(p, moved.get(n, {})) for n, p in rule.when.items()})
        for rule in tool.rules
    )
    return msgspec.structs.replace(tool, rules=rules)


def _moved(predicate: Predicate, to: Mapping[int, int]) -> Predicate:
    if not isinstance(predicate, Band):
        return predicate
    bounds = {name: getattr(predicate, name) for name in predicate.__struct_fields__}
    return Band(**{name: to[edge] for name, edge in bounds.items() if edge is not None})
