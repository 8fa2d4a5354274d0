"""The paired t-test against numerical integration, and Holm's correction against its definition."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.stats.intervals import t_quantile
from harness.stats.paired import holm, paired, t_tails


def within(freedom: int, quantile: float, steps: int = 20_000) -> float:
    """The probability that |t| is below the quantile, integrated with the midpoint rule."""
    factor = math.gamma((freedom + 1) / 2) / (math.sqrt(freedom * math.pi) * math.gamma(freedom / 2))
    width = 2 * quantile / steps
    places = (-quantile + (i + 0.5) * width for i in range(steps))
    return sum(factor * (1 + x * x / freedom) ** (-(freedom + 1) / 2) for x in places) * width


@pytest.mark.parametrize("freedom", range(1, 30))
def test_the_tails_of_t(freedom: int) -> None:
    for t in (0.0, 0.5, 2.0, 4.0):
        assert t_tails(t, freedom) == pytest.approx(1 - within(freedom, t), abs=1e-6)
        assert t_tails(-t, freedom) == t_tails(t, freedom)
    assert t_tails(t_quantile(freedom), freedom) == pytest.approx(0.05, abs=3e-4)


def test_a_difference_with_its_interval() -> None:
    """Student's own data: the additional sleep of ten patients, whose published t is 4.06 (1908)."""
    difference = paired([1.2, 2.4, 1.3, 1.3, 0.0, 1.0, 1.8, 0.8, 4.6, 1.4])
    assert difference is not None
    assert difference.mean == pytest.approx(1.58)
    assert difference.p == pytest.approx(0.00283, abs=1e-5)
    assert (difference.low, difference.high) == pytest.approx((0.70, 2.46), abs=5e-3)
    assert paired([0.5]) is None
    assert paired([0.5, 0.5, 0.5]) is None
    # 55 of 120 questions on both policies, from scores that are rounded to six digits.
    assert paired([0.458333, 0.458334]) is None


def test_holm() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.01, None, 0.03]) == [pytest.approx(0.03), None, pytest.approx(0.06)]
    assert holm([]) == []


@given(st.lists(st.floats(0, 1), min_size=1))
def test_a_corrected_p_is_never_smaller_and_keeps_the_order(ps: list[float]) -> None:
    corrected = [p for p in holm(ps) if p is not None]
    assert all(p <= q for p, q in zip(ps, corrected, strict=True))
    ordered = [q for _, q in sorted(zip(ps, corrected, strict=True))]
    assert ordered == sorted(ordered)
