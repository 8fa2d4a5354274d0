"""95 % intervals for means that account for n, and for instances that share an image or a policy.

The unit is the instance, however many samples it has. The design effect of a mean is its estimated variance
divided by the variance of as many independent values of 0 or 1 (Kish 1965). Wilson's interval with the
effective number n / effect is then right for all values within bounds:

    independent values of 0 or 1    effect 1: Wilson's interval itself
    values that vary less           effect below 1, so a narrower interval
    clusters of related instances   effect above 1, at most the size of a cluster
    unequal weights                 the effect times the mean of the squared weights (Kish 1965)

Z squared pseudo-observations of 0 or 1 are added to the variance. So no interval has zero width, not even for
equal values, and a few clusters whose means agree by chance are not taken for independent instances.
"""

import math
from collections.abc import Hashable, Iterable, Sequence
from itertools import combinations
from typing import NamedTuple

# The 97.5 % quantile of the standard normal distribution, and those of Student's t for 1, 2, ... degrees.
Z = 1.959964
T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228)
# For each way in which instances belong together, such as by image, the label of each instance's cluster.
Clusters = Sequence[Sequence[Hashable]]


class Estimate(NamedTuple):
    """A mean with its interval; None if there is none."""

    mean: float | None
    low: float | None
    high: float | None


def estimate(
    instances: Iterable[Sequence[float | None]],
    bounds: tuple[float, float] | None = (0.0, 1.0),
    clusters: Clusters = (),
) -> Estimate:
    """The mean over instances, each given by the values of its samples, of which there is at least one.

    None is a missing value, such as that of a failed request. The mean excludes it, but the interval covers
    every value within the bounds that it could have had. Without bounds, missing values are ignored, and
    there is no interval if fewer than two different values are known. `clusters` is as in `interval`.
    """
    instances = list(instances)
    means = [_mean(values) if (values := [v for v in one if v is not None]) else None for one in instances]
    known = [mean for mean in means if mean is not None]
    mean = _mean(known) if known else None
    if bounds is None:
        present = [index for index, one in enumerate(means) if one is not None]
        return Estimate(mean, *_t_interval(known, [[labels[i] for i in present] for labels in clusters]))
    if not any(None in one for one in instances):
        return Estimate(mean, *interval(known, bounds, clusters))
    least, most = ([_mean([bound if v is None else v for v in one]) for one in instances] for bound in bounds)
    return Estimate(mean, interval(least, bounds, clusters)[0], interval(most, bounds, clusters)[1])


def interval(
    values: Sequence[float],
    bounds: tuple[float, float] = (0.0, 1.0),
    clusters: Clusters = (),
    weights: Sequence[float] = (),
) -> tuple[float, float]:
    """The interval of the mean of values within bounds, never of zero width; the bounds without values.

    Equals Wilson's for independent values of 0 or 1. `clusters` has one sequence for each way in which
    instances belong together, with one label for each value. `weights` add up to the number of values.
    """
    if not values:
        return bounds
    low, high = bounds
    shares = [(value - low) / (high - low) for value in values]
    n, total = len(shares), math.fsum(shares)
    mean, typical = total / n, (total + Z * Z / 2) / (n + Z * Z)
    pseudo = Z * Z * typical * (1 - typical)
    residuals = [share - mean for share in shares]
    # The number of instances in the cluster of an instance: the design effect if clusters are uniform.
    size = 1 + _covariances([1.0] * n, clusters, estimated=False) / n
    variance = math.fsum(e * e for e in residuals) + _covariances(residuals, clusters) + pseudo * size
    # Rounded, so that rounding errors do not change Wilson's interval.
    effect = round(min(size, variance / (n * mean * (1 - mean) + pseudo)), 12)
    center = _mean(values)
    if weights:
        total = math.fsum(w * share for w, share in zip(weights, shares, strict=True))
        center = low + (high - low) * total / n
        effect *= math.fsum(w * w for w in weights) / n
    below, above = wilson(total / effect, n / effect)
    return min(center, low + (high - low) * below), max(center, low + (high - low) * above)


def _covariances(values: Sequence[float], clusters: Clusters, estimated: bool = True) -> float:
    """The sum of the products of all ordered pairs of different values that share a cluster; at least 0.

    If values share clusters in several ways, pairs that share two of them are counted once (Cameron, Gelbach
    and Miller 2011). For residuals of G clusters, `estimated` corrects for a small G by the usual factors:
    G / (G - 1), and Student's t with G - 1 degrees of freedom in place of the normal distribution.
    """
    squares, covariances = math.fsum(v * v for v in values), 0.0
    for ways in range(1, len(clusters) + 1):
        for chosen in combinations(clusters, ways):
            sums: dict[Hashable, float] = {}
            for label, value in zip(zip(*chosen, strict=True), values, strict=True):
                sums[label] = sums.get(label, 0.0) + value
            shared = math.fsum(s * s for s in sums.values()) - squares
            if estimated and len(sums) > 1:
                shared *= len(sums) / (len(sums) - 1) * (t_quantile(len(sums) - 1) / Z) ** 2
            covariances -= (-1) ** ways * shared
    return max(0.0, covariances)


def _t_interval(values: Sequence[float], clusters: Clusters) -> tuple[float | None, float | None]:
    """Student's interval for values without bounds; None if fewer than two of them are different."""
    n = len(values)
    if len(set(values)) < 2:
        return None, None
    mean = _mean(values)
    residuals = [value - mean for value in values]
    independent = t_quantile(n - 1) ** 2 * math.fsum(e * e for e in residuals) * n / (n - 1)
    half = math.sqrt(independent + Z * Z * _covariances(residuals, clusters)) / n
    return mean - half, mean + half


def wilson(successes: float, n: float) -> tuple[float, float]:
    """Wilson's score interval for successes out of n (Wilson 1927); (0, 1) if n is 0."""
    if n == 0:
        return 0.0, 1.0
    share, spread = successes / n, Z * Z / n
    center = (share + spread / 2) / (1 + spread)
    half = Z / (1 + spread) * math.sqrt(max(0.0, share * (1 - share)) / n + spread / (4 * n))
    # Without the share here, rounding could exclude it from the interval (by 1e-17 if nothing succeeds).
    return max(0.0, min(share, center - half)), min(1.0, max(share, center + half))


def t_quantile(degrees: int) -> float:
    """The 97.5 % quantile of Student's t, to 0.1 % (beyond the table: Abramowitz and Stegun 26.7.5)."""
    if degrees <= len(T):
        return T[degrees - 1]
    return Z + (Z**3 + Z) / (4 * degrees) + (5 * Z**5 + 16 * Z**3 + 3 * Z) / (96 * degrees**2)


def _mean(values: Sequence[float]) -> float:
    return math.fsum(values) / len(values) if len(values) > 1 else float(values[0])
