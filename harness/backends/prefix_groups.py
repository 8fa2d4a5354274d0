"""Groups prompts that start with the same parts, such as a policy to be computed or cached once.

    prompts    P1 Q1   P1 Q2   P2 Q3   Q4   P1 Q5   P2 Q6        P: parts of a policy, Q: parts of a query
    groups     P1: Q1 Q2 Q5     P2: Q3 Q6     nothing shared: Q4

Policies may share an introduction. Then there is either one group that shares only the introduction, or one
group per policy that shares more. The choice that saves more tokens is taken.
"""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from harness.records import Part, Prompt

# Fewer shared tokens are not worth a group.
MIN_SHARED_TOKENS = 64


@dataclass(frozen=True)
class Group:
    """Prompts whose first `shared` parts are the same."""

    shared: int
    prompts: list[Prompt]

    @property
    def parts(self) -> tuple[Part, ...]:
        return self.prompts[0].parts[: self.shared]

    @property
    def saved_tokens(self) -> float:
        """About how many tokens need not be computed, because another prompt of the group has them too."""
        return approximate_tokens(self.parts) * (len(self.prompts) - 1)


def approximate_tokens(parts: Sequence[Part]) -> float:
    """An estimate without a tokenizer: 4 characters per token, 300 tokens per image."""
    return sum(300 if part.kind == "image" else len(part.value) / 4 for part in parts)


def group_by_prefix(prompts: Sequence[Prompt], min_prompts: int = 2) -> list[Group]:
    """Splits prompts into groups of at least `min_prompts`, and one of all others, which shares nothing."""
    groups = _best_groups(list(prompts), 0, max(2, min_prompts))
    grouped = {prompt.key for group in groups for prompt in group.prompts}
    others = [prompt for prompt in prompts if prompt.key not in grouped]
    return [*([Group(0, others)] if others else []), *groups]


def _best_groups(prompts: list[Prompt], shared: int, min_prompts: int) -> list[Group]:
    """One group of these prompts, which share their first parts, or several that share more, or none."""
    if len(prompts) < min_prompts:
        return []
    shortest = min(len(prompt.parts) for prompt in prompts)
    while shared < shortest and len({prompt.parts[shared] for prompt in prompts}) == 1:
        shared += 1
    by_next_part = defaultdict(list)
    for prompt in prompts:
        if len(prompt.parts) > shared:
            by_next_part[prompt.parts[shared]].append(prompt)
    several = [g for branch in by_next_part.values() for g in _best_groups(branch, shared + 1, min_prompts)]
    one = Group(shared, prompts)
    if approximate_tokens(one.parts) < MIN_SHARED_TOKENS:
        return several
    return several if one.saved_tokens < sum(group.saved_tokens for group in several) else [one]
