"""Samples the user profile of each dialog. Many of the numbers are at or next to a threshold of a rule."""

import random
from collections import Counter
from collections.abc import Sequence

from gtapolicy.policy.rules import Domain, Profile, RuleTable, Span, Value

# Number of profiles sampled for a dialog. The profile whose versions were used least so far is chosen.
CANDIDATES = 12


def sample_profile(table: RuleTable, rng: random.Random) -> Profile:
    """A random profile. Half of the numbers are sampled within 1 of a threshold, the others uniformly."""
    return {name: _value(table, name, domain, rng) for name, domain in table.profile.items()}


def _value(table: RuleTable, name: str, domain: Domain, rng: random.Random) -> Value:
    if not isinstance(domain, Span):
        return rng.choice(domain)
    thresholds = sorted({threshold for tool in table.tools for threshold in tool.thresholds(name)})
    if not thresholds or rng.random() < 0.5:
        return rng.randint(domain.least, domain.most)
    return min(max(rng.choice(thresholds) + rng.choice((-1, 0, 1)), domain.least), domain.most)


class ProfileSampler:
    """Samples one profile per dialog, such that all versions of a tool are used about equally often."""

    def __init__(self, table: RuleTable, rng: random.Random) -> None:
        self.table, self.rng = table, rng
        # How often each callable name was used so far.
        self.used: Counter[str] = Counter()

    def next(self, tools: Sequence[str]) -> Profile:
        """A profile for a dialog that calls these tools."""
        candidates = [sample_profile(self.table, self.rng) for _ in range(CANDIDATES)]
        names = [[self.table.decide(tool, profile) for tool in tools] for profile in candidates]
        best = min(range(CANDIDATES), key=lambda i: sum(self.used[name] for name in names[i]))
        self.used.update(names[best])
        return candidates[best]
