"""Intervals of a mean by resampling, for values that are no plain yes or no (Efron 1979, percentiles)."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

import numpy as np

RESAMPLES = 10_000
_CELLS = 2_000_000
"""Counts held at once: 16 MB, however many values there are."""


def interval(values: Sequence[float], random: Random) -> tuple[float, float] | None:
    """The 95 % interval of the mean over resamples of the values; None where there are none.

    A resample is drawn as how often each distinct value comes up, which is the same and quicker.
    """
    if not len(values):
        return None
    distinct, counts = np.unique(np.asarray(values, float), return_counts=True)
    generator = np.random.default_rng(random.getrandbits(128))
    chunk = max(1, _CELLS // len(distinct))
    means = [
        generator.multinomial(len(values), counts / len(values), min(chunk, RESAMPLES - start)) @ distinct
        for start in range(0, RESAMPLES, chunk)
    ]
    low, high = np.quantile(np.concatenate(means) / len(values), [0.025, 0.975])
    return float(low), float(high)
