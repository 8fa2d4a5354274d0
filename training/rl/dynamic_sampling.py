"""Dynamic sampling (DAPO, as in EasyR1): fills a rollout batch with groups that can be learned from.

The advantage of a response is its reward minus the mean of its group, divided by their standard deviation, so
nothing is learned from a group in which all responses are right or all are wrong. A try samples a whole
rollout batch. The useful groups of the first try keep their places. Those of later tries fill the other
places in order, until the batch is full:

    try 1    group 0 useful    1 -         2 -         3 useful    places 1 and 2 are empty
    try 2    group 0 -         1 -         2 useful    3 -         group 2 fills place 1
    try 3    group 0 useful    1 useful    2 -         3 useful    group 0 fills place 2, the rest is dropped

Every process computes the same from the same gathered rewards, so the processes agree. The prompts depend
only on seed and step, so a resumed run samples the same ones again.
"""

import math
from collections.abc import Iterator, Sequence
from itertools import count

import torch

from harness.seeds import rng

# A group is useful if its mean accuracy is between these (the bounds of EasyR1).
LOWEST, HIGHEST = 0.01, 0.99
# Rewards that differ by less count as equal, because a weighted sum in float32 is rounded.
TOLERANCE = 1e-6


class BatchFiller:
    """Decides which groups of which try fill the places of a rollout batch."""

    def __init__(self, useful: Sequence[bool], max_tries: int) -> None:
        """`useful` says which groups of the first try are useful; they keep their places."""
        self.groups, self.max_tries, self.tries = len(useful), max_tries, 1
        # Places without a useful group, in order.
        self.empty = [place for place, is_useful in enumerate(useful) if not is_useful]

    def needs_another_try(self) -> bool:
        return bool(self.empty) and self.tries < self.max_tries

    def fill(self, useful: Sequence[bool]) -> list[tuple[int, int]]:
        """Adds another try. Returns pairs of an empty place and the group of this try that fills it."""
        self.tries += 1
        groups = (group for group, is_useful in enumerate(useful) if is_useful)
        filled = list(zip(self.empty, groups, strict=False))
        self.empty = self.empty[len(filled) :]
        return filled


def useful_groups(accuracy_N: torch.Tensor, rewards_N: torch.Tensor, group_size: int) -> torch.Tensor:
    """Whether each group can be learned from; two tensors of shape (N,) to bool of shape (N / group_size,).

    Accuracy can be 1/2 for all responses of a group, as for the right tool with wrong arguments on GTAPolicy.
    So the rewards must differ too.
    """
    mean_accuracy = accuracy_N.view(-1, group_size).nanmean(1)
    within = (mean_accuracy > LOWEST) & (mean_accuracy < HIGHEST)
    return within & groups_with_variance(rewards_N, group_size)


def groups_with_variance(rewards_N: torch.Tensor, group_size: int) -> torch.Tensor:
    """Whether the rewards of each group differ; shape (N,) to bool of shape (N / group_size,).

    NaN, a response that could not be graded, is not compared.
    """
    grouped = rewards_N.view(-1, group_size)
    return grouped.nan_to_num(-math.inf).amax(1) - grouped.nan_to_num(math.inf).amin(1) > TOLERANCE


def replacement_prompts(seed: int, step: int, prompts: int) -> Iterator[int]:
    """Endless indices into a pool of `prompts` for one step: the pool in one random order after another."""
    for epoch in count():
        order = list(range(prompts))
        rng(seed, "dynamic sampling", step, epoch).shuffle(order)
        yield from order
