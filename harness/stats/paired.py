"""The paired t-test, and Holm's correction of several p-values."""

import math
from collections.abc import Sequence
from statistics import fmean, stdev
from typing import NamedTuple

from harness.stats.intervals import t_quantile

# Differences closer than this are equal, because scores are stored with six digits.
EQUAL = 1e-5


class Difference(NamedTuple):
    """The mean of paired differences with its 95 % interval, and the two-sided p-value of a mean of 0."""

    mean: float
    low: float
    high: float
    p: float
    n: int


def paired(differences: Sequence[float]) -> Difference | None:
    """Student's paired t-test. None if there are fewer than two differences, or if all are equal."""
    n = len(differences)
    if n < 2 or max(differences) - min(differences) < EQUAL:
        return None
    mean, error = fmean(differences), stdev(differences) / math.sqrt(n)
    half = t_quantile(n - 1) * error
    return Difference(mean, mean - half, mean + half, t_tails(mean / error, n - 1), n)


def t_tails(t: float, degrees: int) -> float:
    """The probability that Student's t is at least this far from 0 (Abramowitz and Stegun 26.7.3, 26.7.4)."""
    angle = math.atan2(abs(t), math.sqrt(degrees))
    sine, cosine = math.sin(angle), math.cos(angle)
    odd = degrees % 2
    # 1 + 1/2 c^2 + (1 3)/(2 4) c^4 + ... for even degrees, c + 2/3 c^3 + (2 4)/(3 5) c^5 + ... for odd ones.
    term, total = (cosine if odd else 1.0), 0.0
    for k in range(1 + odd, degrees, 2):
        total += term
        term *= cosine**2 * k / (k + 1)
    inside = 2 / math.pi * (angle + sine * total) if odd else sine * total
    return max(0.0, 1 - inside)


def holm(ps: Sequence[float | None]) -> list[float | None]:
    """Each p-value corrected for all of them (Holm 1979). A missing one counts, as the largest."""
    corrected: list[float | None] = [None] * len(ps)
    so_far = 0.0
    for rank, (p, index) in enumerate(sorted((p, i) for i, p in enumerate(ps) if p is not None)):
        so_far = max(so_far, min(1.0, p * (len(ps) - rank)))
        corrected[index] = so_far
    return corrected
