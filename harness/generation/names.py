"""Pronounceable random names, such as "Surinu"."""

import random
from collections.abc import Sequence

ONSETS = (*"bdfghklmnprstvz", "br", "dr", "kl", "st", "tr")
VOWELS = "aeiou"


def pronounceable(rng: random.Random, onsets: Sequence[str] = ONSETS) -> str:
    """Three syllables, each an onset and a vowel."""
    return "".join(rng.choice(onsets) + rng.choice(VOWELS) for _ in range(3)).capitalize()
