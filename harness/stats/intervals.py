"""95 % intervals for means. The unit is the instance, however many samples it has."""

import math
import random
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from harness.seeds import rng

# The 97.5 % quantile of the standard normal distribution.
Z = 1.959964
RESAMPLES = 2_000
# How many counts are drawn at once. This limits their memory to 8 MB, whatever the number of values.
CELLS = 1_000_000


class Estimate(NamedTuple):
    """A mean with its interval; None if there are no values."""

    mean: float | None
    low: float | None
    high: float | None


def estimate(
    instances: Iterable[Sequence[float | None]], bounds: tuple[float, float] | None = (0.0, 1.0)
) -> Estimate:
    """The mean over instances, each given by the values of its samples.

    None is a missing value, such as that of a failed request. The mean excludes it, but the interval covers
    every value within the bounds that it could have had. Without bounds, missing values are ignored.
    """
    instances = list(instances)
    known = [_mean(values) for one in instances if (values := [v for v in one if v is not None])]
    mean = _mean(known) if known else None
    if bounds is None:
        return Estimate(mean, *(bootstrap(known, rng(0, "interval")) if known else (None, None)))
    least, most = (
        [_mean([bound if v is None else v for v in one]) for one in instances if one] for bound in bounds
    )
    low = interval(least, bounds)
    high = low if least == most else interval(most, bounds)
    return Estimate(mean, low[0], high[1])


def interval(values: Sequence[float], bounds: tuple[float, float] = (0.0, 1.0)) -> tuple[float, float]:
    """Wilson's interval if all values are 0 or 1, otherwise by resampling; the bounds if there are none."""
    if bounds == (0.0, 1.0) and all(value in (0, 1) for value in values):
        return wilson(sum(values), len(values))
    return bootstrap(values, rng(0, "interval")) if values else bounds


def wilson(successes: float, n: int) -> tuple[float, float]:
    """Wilson's score interval for successes out of n (Wilson 1927); (0, 1) if n is 0."""
    if n == 0:
        return 0.0, 1.0
    share, spread = successes / n, Z * Z / n
    center = (share + spread / 2) / (1 + spread)
    half = Z / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    # Without the share here, rounding could exclude it from the interval (by 1e-17 if nothing succeeds).
    return max(0.0, min(share, center - half)), min(1.0, max(share, center + half))


def bootstrap(
    values: Sequence[float], draws: random.Random, resamples: int = RESAMPLES
) -> tuple[float, float]:
    """The middle 95 % of the means of resamples (Efron 1979). Needs at least one value."""
    return middle(resampled(values, draws, resamples))


def resampled(values: Any, draws: random.Random, resamples: int = RESAMPLES) -> Any:
    """(resamples, ...) means over the first axis of resamples with replacement of an array (n, ...).

    Drawing how often each distinct value occurs is equivalent to drawing values, and fast if many are equal.
    """
    # Imported here because importing numpy takes longer than a command that needs no interval.
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
    """The 2.5 % and 97.5 % quantiles."""
    import numpy as np

    low, high = np.quantile(figures, (0.025, 0.975))
    return float(low), float(high)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
