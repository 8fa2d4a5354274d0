"""Users: one profile for each dialog, on and beside the thresholds more often than chance would have it."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence

from gtapolicy.policy.rules import Band, Profile, Span, Table, Value

CANDIDATES = 12
"""Profiles drawn for a dialog; the one whose versions were least used so far is taken."""


def draw(table: Table, rng: random.Random) -> Profile:
    """Each number lies near a threshold of some rule in half of the draws."""
    return {name: _value(table, name, known, rng) for name, known in table.profile.items()}


def _value(table: Table, name: str, known: Span | tuple[str, ...], rng: random.Random) -> Value:
    if not isinstance(known, Span):
        return rng.choice(known)
    edges = sorted(
        {
            edge
            for t in table.tools
            for r in t.rules
            if isinstance(b := r.when.get(name), Band)
            for edge in b.edges
        }
    )
    if not edges or rng.random() < 0.5:
        return rng.randint(known.least, known.most)
    return min(max(rng.choice(edges) + rng.choice((-1, 0, 1)), known.least), known.most)


class Stratified:
    """Profiles for one dialog after another, so that a tool's versions are called about equally often."""

    def __init__(self, table: Table, rng: random.Random) -> None:
        self.table, self.rng = table, rng
        self.used: Counter[str] = Counter()

    def next(self, tools: Sequence[str]) -> Profile:
        """A profile for a dialog that calls these tools."""
        drawn = [draw(self.table, self.rng) for _ in range(CANDIDATES)]
        names = [[self.table.decide(tool, profile) for tool in tools] for profile in drawn]
        best = min(range(CANDIDATES), key=lambda i: sum(self.used[name] for name in names[i]))
        self.used.update(names[best])
        return drawn[best]
