"""Dynamic sampling (DAPO): which groups have no gradient, and which prompts replace theirs.

The advantage of a response is its reward minus the mean of its group, so a group whose rewards are all equal
has no gradient. Such a group is replaced by a group of responses to another prompt:

    rewards    group 0: 1 0 0 1     group 1: 0 0 0 0     group 2: 1 1 0 1
    varied     yes                  no -> sample replacement_prompts(seed, step) until one varies

Every process computes the same replacements from the same gathered rewards, so the processes agree. The
prompts depend only on seed and step, so a resumed run samples the same ones again.
"""

import math
from collections.abc import Iterator
from itertools import count

import torch

from harness.seeds import rng

# Rewards that differ by less count as equal, because a weighted sum in float32 is rounded.
TOLERANCE = 1e-6


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


def groups_to_sample(missing: int, group_size: int, processes: int) -> int:
    """The smallest number of groups, at least `missing`, whose responses divide evenly among processes."""
    unit = processes // math.gcd(group_size, processes)
    return math.ceil(missing / unit) * unit
