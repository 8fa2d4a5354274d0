"""Whether judges agree beyond chance: Krippendorff's alpha for scores on an interval scale."""

from collections.abc import Iterable, Sequence


def krippendorff(units: Iterable[Sequence[float | None]]) -> float | None:
    """Alpha over units. A unit has one value per judge, which is None if the judge gave no value.

    1 is perfect agreement, 0 is agreement by chance, and negative values are worse than chance. Units with
    fewer than two values are ignored. None if all units have the same values, as a single unit has, because
    then nothing shows whether the judges distinguish units.
    Source: Krippendorff, Computing Krippendorff's Alpha-Reliability (2011), interval metric.
    """
    rated = [values for unit in units if len(values := [v for v in unit if v is not None]) > 1]
    pooled = [value for values in rated for value in values]
    if len({tuple(values) for values in rated}) < 2 or min(pooled) == max(pooled):
        return None
    observed = sum(len(values) * _spread(values) for values in rated) / len(pooled)
    return 1 - observed / _spread(pooled)


def _spread(values: Sequence[float]) -> float:
    """Half the mean squared difference of two of the values: the variance with n - 1."""
    mean = sum(values) / len(values)
    return sum((value - mean) ** 2 for value in values) / (len(values) - 1)
