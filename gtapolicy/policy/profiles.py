"""Samples the user profile of each dialog. Many of the numbers are at or next to a threshold of a rule."""

import random
from collections import Counter
from collections.abc import Sequence

from gtapolicy.policy.conditions import Profile, Value
from gtapolicy.policy.rules import Domain, RuleTable, Span

# Number of profiles sampled for a dialog. The profile whose versions were used least so far is chosen.
CANDIDATES = 12


class ProfileSampler:
    """Samples one profile per dialog, such that all versions of a tool are used about equally often."""

    def __init__(self, table: RuleTable, rng: random.Random) -> None:
        self.table, self.rng = table, rng
        # By profile field.
        self.thresholds = {
            name: sorted({threshold for tool in table.tools for threshold in tool.thresholds(name)})
            for name in table.profile
        }
        # How often each callable name was used so far.
        self.used: Counter[str] = Counter()

    def sample(self) -> Profile:
        """A random profile. Half of the numbers are sampled within 1 of a threshold, the others uniformly."""
        return {name: self._value(name, domain) for name, domain in self.table.profile.items()}

    def _value(self, name: str, domain: Domain) -> Value:
        if not isinstance(domain, Span):
            return self.rng.choice(domain)
        thresholds = self.thresholds[name]
        if not thresholds or self.rng.random() < 0.5:
            return self.rng.randint(domain.least, domain.most)
        near = self.rng.choice(thresholds) + self.rng.choice((-1, 0, 1))
        return min(max(near, domain.least), domain.most)

    def next(self, tools: Sequence[str]) -> Profile:
        """A profile for a dialog that calls these tools."""
        candidates = [self.sample() for _ in range(CANDIDATES)]
        names = [[self.table.decide(tool, profile) for tool in tools] for profile in candidates]
        best = min(range(CANDIDATES), key=lambda i: sum(self.used[name] for name in names[i]))
        self.used.update(names[best])
        return candidates[best]
