"""Which prompts begin alike, as with a policy that they share: what can be encoded or cached once for all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from harness.backends.chat import length
from harness.records import Part, Prompt

WORTH = 64
"""Tokens from which on a beginning is worth keeping."""


@dataclass(frozen=True)
class Group:
    """Prompts with the same first parts, as many as `shared` says."""

    shared: int
    prompts: list[Prompt]

    @property
    def parts(self) -> tuple[Part, ...]:
        return self.prompts[0].parts[: self.shared]

    @property
    def saved(self) -> int:
        """About the tokens times four that need no second pass."""
        return length(self.parts) * (len(self.prompts) - 1)


def group_by_prefix(prompts: Sequence[Prompt], least: int = 2) -> list[Group]:
    """The prompts, once each, in groups of at least so many, and in one that shares nothing.

    Where a group is answered in batches of its own, one far smaller than a batch loses more than it saves.
    """
    groups = _best(list(prompts), 0, max(2, least))
    grouped = {prompt.key for one in groups for prompt in one.prompts}
    alone = [prompt for prompt in prompts if prompt.key not in grouped]
    return [*([Group(0, alone)] if alone else []), *groups]


def _best(prompts: list[Prompt], shared: int, least: int) -> list[Group]:
    """One group or several with longer beginnings, whichever saves more; the first `shared` parts agree."""
    if len(prompts) < least:
        return []
    shortest = min(len(prompt.parts) for prompt in prompts)
    while shared < shortest and len({prompt.parts[shared] for prompt in prompts}) == 1:
        shared += 1
    branches = defaultdict(list)
    for prompt in prompts:
        if len(prompt.parts) > shared:
            branches[prompt.parts[shared]].append(prompt)
    several = [one for branch in branches.values() for one in _best(branch, shared + 1, least)]
    whole = Group(shared, prompts)
    if length(whole.parts) < 4 * WORTH or whole.saved < sum(one.saved for one in several):
        return several
    return [whole]
