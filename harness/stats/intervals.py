"""95 % intervals for means of values in [0, 1]; the unit is the instance, however many samples it has."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from harness.seeds import rng

Z = 1.959964
RESAMPLES = 2_000
CELLS = 1_000_000
"""Drawn at once: 8 MB, however many values there are."""


class Estimate(NamedTuple):
    """A mean and its interval; no mean where no value is known."""

    mean: float | None
    low: float
    high: float


def estimate(units: Iterable[Sequence[float | None]]) -> Estimate:
    """The mean over instances, each given by its samples' values.

    None is a value that could not be had (a failed request): in no mean, but the interval reaches from all
    of them 0 to all of them 1.
    """
    units = list(units)
    known = [_mean(told) for unit in units if (told := [v for v in unit if v is not None])]
    least, most = (
        [_mean([bound if v is None else v for v in unit]) for unit in units if unit] for bound in (0.0, 1.0)
    )
    low = interval(least)
    high = low if least == most else interval(most)
    return Estimate(_mean(known) if known else None, low[0], high[1])


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Wilson's for values that are all 0 or 1, by resampling otherwise; (0, 1) where there are none."""
    if all(value in (0, 1) for value in values):
        return wilson(sum(values), len(values))
    return bootstrap(values, rng(0, "interval"))


def wilson(successes: float, n: int) -> tuple[float, float]:
    """Wilson's score interval for successes out of n (Wilson 1927); (0, 1) where n is 0."""
    if n == 0:
        return 0.0, 1.0
    share, spread = successes / n, Z * Z / n
    centre = (share + spread / 2) / (1 + spread)
    half = Z / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    # Rounding must not put the share itself outside, as it does by 1e-17 where nothing succeeds.
    return max(0.0, min(share, centre - half)), min(1.0, max(share, centre + half))


def bootstrap(
    values: Sequence[float], draws: random.Random, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """The middle 95 % of the means of resamples (Efron 1979), for one value or more."""
    return middle(resampled(values, draws, resamples))


def resampled(values: Any, draws: random.Random, resamples: int = RESAMPLES) -> Any:
    """(resamples, ...) means over the first axis of an array's resamples with replacement.

    A resample is drawn as how often each distinct value occurs in it: the same, and quick where many are
    alike.
    """
    # numpy takes longer to load than the commands that need no interval take to answer.
    import numpy as np

    levels, counts = np.unique(np.asarray(values, float), axis=0, return_counts=True)
    generator = np.random.default_rng(draws.getrandbits(128))
    at_once = max(1, CELLS // len(levels))
    sums = [
        generator.multinomial(len(values), counts / len(values), min(at_once, resamples - done)) @ levels
        for done in range(0, resamples, at_once)
    ]
    return np.concatenate(sums) / len(values)


def middle(figures: Any) -> tuple[float, float]:
    """Between which 95 % of the figures lie."""
    import numpy as np

    low, high = np.quantile(figures, (0.025, 0.975))
    return float(low), float(high)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
