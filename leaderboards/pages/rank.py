"""Ranks that say no more than the data: one is better only where its whole 95 % interval lies above."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence


def ranks(intervals: Sequence[tuple[float, float]]) -> list[int]:
    """1 + how many are surely better: those whose low is above this one's high.

    Entries that none can tell apart share a rank, and 1 means that nobody is surely better.
    """
    lows = sorted(low for low, _ in intervals)
    return [1 + len(lows) - bisect_right(lows, high) for _, high in intervals]
