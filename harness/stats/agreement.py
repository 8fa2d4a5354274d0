"""Do two judges agree beyond chance? Krippendorff's alpha for figures on an interval scale."""

from collections.abc import Iterable, Sequence


def krippendorff(units: Iterable[Sequence[float | None]]) -> float | None:
    """Alpha over units, each rated by any number of judges, None where a judge gave no value.

    1 is perfect agreement, 0 what chance gives, below 0 is worse. A unit with one value is ignored.
    None where no unit has two values, or where all values are the same: there alpha is undefined.
    Source: Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), interval metric.
    """
    rated = [values for unit in units if len(values := [v for v in unit if v is not None]) > 1]
    pooled = [value for values in rated for value in values]
    if not pooled or min(pooled) == max(pooled):
        return None
    observed = sum(len(values) * _spread(values) for values in rated) / len(pooled)
    return 1 - observed / _spread(pooled)


def _spread(values: Sequence[float]) -> float:
    """Half the mean squared difference of two of the values: the variance with n - 1."""
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)
