"""Whether a mean difference is more than chance: the sign-flip test (Fisher 1935)."""

import math
from collections.abc import Hashable, Iterable, Sequence

from harness.seeds import rng
from harness.stats.intervals import Clusters

# Differences at most this likely by chance are called significant.
LEVEL = 0.05
RESAMPLES = 10_000
# Totals that differ by less are equal.
ROUNDING = 1e-9
# The most steps of an exact computation, clusters times changes. For more, random signs are faster.
MAX_STEPS = 20_000 * 20_000
# How many signs are drawn at once. This limits their memory to 8 MB, whatever the number of clusters.
CELLS = 1_000_000


def sign_flip(changes: Sequence[float], clusters: Clusters = ()) -> float | None:
    """The two-sided p of the hypothesis that the change of each cluster is as likely to have the other sign.

    For independent changes of -1, 0 or 1 it is McNemar's exact test. Exact for whole numbers up to MAX_STEPS
    and for few clusters, otherwise from RESAMPLES random signs, where (k + 1) / (n + 1) never understates p
    (Phipson and Smyth 2010). If instances belong together in several ways, the largest p counts. None without
    changes.
    """
    if not changes:
        return None
    return max(_p(_sums(changes, labels)) for labels in (clusters or [range(len(changes))]))


def _sums(changes: Sequence[float], labels: Iterable[Hashable]) -> list[float]:
    """The total change of each cluster that has one."""
    sums: dict[Hashable, float] = {}
    for label, change in zip(labels, changes, strict=True):
        sums[label] = sums.get(label, 0.0) + change
    return [total for total in sums.values() if abs(total) > ROUNDING]


def _p(sums: Sequence[float]) -> float:
    if all(abs(total - round(total)) <= ROUNDING for total in sums):
        whole = [round(total) for total in sums]
        if all(abs(total) == 1 for total in whole):
            return _mcnemar(whole.count(1), whole.count(-1))
        if len(whole) * sum(map(abs, whole)) <= MAX_STEPS:
            return _exact(whole)
    # Imported here because importing numpy takes longer than a command that needs no test.
    import numpy as np

    count, sums_G = len(sums), np.asarray(sums)
    least = abs(sums_G.sum()) * (1 - ROUNDING)
    if 2**count <= RESAMPLES:
        bits_SG = np.arange(2**count)[:, None] >> np.arange(count) & 1
        return float((abs((2 * bits_SG - 1) @ sums_G) >= least).mean())
    generator = np.random.default_rng(rng(0, "sign flip").getrandbits(128))
    extreme, at_once = 0, max(1, CELLS // count)
    for start in range(0, RESAMPLES, at_once):
        shape = min(at_once, RESAMPLES - start), -(-count // 8)
        bytes_SB = np.frombuffer(generator.bytes(math.prod(shape)), np.uint8).reshape(shape)
        drawn_S = np.unpackbits(bytes_SB, axis=1, count=count) @ sums_G
        extreme += int((abs(2 * drawn_S - sums_G.sum()) >= least).sum())
    return (extreme + 1) / (RESAMPLES + 1)


def _mcnemar(better: int, worse: int) -> float:
    """Twice the tail of the binomial distribution: how likely so few changes have one of the signs."""
    n, k = better + worse, min(better, worse)
    ways = math.lgamma(n + 1) - math.lgamma(k + 1) - math.lgamma(n - k + 1)
    term = tail = math.exp(ways - n * math.log(2))
    while k and term > tail * ROUNDING**2:
        term *= k / (n - k + 1)
        tail += term
        k -= 1
    return min(1.0, 2 * tail)


def _exact(sums: Sequence[int]) -> float:
    """The distribution of the total under random signs, one cluster after the other."""
    import numpy as np

    farthest = sum(map(abs, sums))
    chances = np.zeros(2 * farthest + 1)
    chances[farthest] = 1
    for total in sums:
        chances = (np.roll(chances, total) + np.roll(chances, -total)) / 2
    totals = np.arange(-farthest, farthest + 1)
    return min(1.0, float(chances[abs(totals) >= abs(sum(sums))].sum()))
