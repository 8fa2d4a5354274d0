"""Dynamic sampling (DAPO): which groups teach nothing, and which prompts are sampled in their place.

Every process computes the same from the same numbers, so that all agree without a word between them; and the
prompts depend on nothing but the seed and the step, so that a run that was killed draws the same again.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from itertools import count

import torch

from harness.seeds import rng

SAME = 1e-6
"""Rewards that differ by less are the same: float32 of a weighted sum."""


def varied(rewards: torch.Tensor, size: int) -> torch.Tensor:
    """Whether a group's rewards differ at all: (groups * size,) to (groups,) of bool."""
    grouped = rewards.view(-1, size)
    return grouped.amax(1) - grouped.amin(1) > SAME


def fresh_prompts(seed: int, step: int, prompts: int) -> Iterator[int]:
    """Indices of further prompts for a step, without end: the whole pool in a random order, then again."""
    for turn in count():
        order = list(range(prompts))
        rng(seed, "dynamic sampling", step, turn).shuffle(order)
        yield from order


def groups_to_sample(missing: int, size: int, processes: int) -> int:
    """At least as many groups as are missing, and as many responses on every process as on any other."""
    unit = processes // math.gcd(size, processes)
    return math.ceil(missing / unit) * unit
