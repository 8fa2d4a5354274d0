"""95 % intervals for means of values in [0, 1]."""

from __future__ import annotations

import math

Z = 1.959964


def wilson(successes: float, n: int) -> tuple[float, float]:
    """Wilson's score interval for successes out of n (Wilson 1927); (0, 1) where n is 0."""
    if n == 0:
        return 0.0, 1.0
    share, spread = successes / n, Z * Z / n
    centre = (share + spread / 2) / (1 + spread)
    half = Z / (1 + spread) * math.sqrt(share * (1 - share) / n + spread / (4 * n))
    return max(0.0, centre - half), min(1.0, centre + half)
