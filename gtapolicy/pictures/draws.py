"""The functions that draw something at random, for expressions of scenarios and for SVG templates."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from random import Random
from typing import Any

from harness.errors import UserError


class NothingToChoose(UserError):
    """A random choice among no values. Facts are then drawn again."""


def draws(rng: Random) -> dict[str, Callable[..., Any]]:
    def choice(values: Iterable[Any]) -> Any:
        if not (options := list(values)):
            raise NothingToChoose("choice: expected at least one value, got none")
        return rng.choice(options)

    def sample(values: Iterable[Any], number: int) -> list[Any]:
        options = list(values)
        if number not in range(len(options) + 1):
            raise UserError(f"sample: expected at most {len(options)}, the number of values, got {number}")
        return rng.sample(options, number)

    def between(least: int, most: int) -> int:
        if not (isinstance(least, int) and isinstance(most, int) and least <= most):
            raise UserError(
                f"between: expected two whole numbers, the smaller one first, got {least!r} and {most!r}"
            )
        return rng.randint(least, most)

    def chance(share: float) -> bool:
        if not 0 <= share <= 1:
            raise UserError(f"chance: expected a share from 0 to 1, got {share}")
        return rng.random() < share

    def priced(goods: Mapping[str, Sequence[float]], number: int) -> list[dict[str, Any]]:
        """Different goods at different prices, given the lowest and the highest price of each."""
        prices: list[float] = []
        for name in (chosen := sample(sorted(goods), number)):
            price = round(rng.uniform(*goods[name]), 2)
            while price in prices:
                price = round(price + 0.1, 2)
            prices.append(price)
        return [{"name": name, "price": price} for name, price in zip(chosen, prices, strict=True)]

    return {
        "choice": choice,
        "sample": sample,
        "shuffled": lambda values: rng.sample(list(values), len(values)),
        "between": between,
        "uniform": rng.uniform,
        "chance": chance,
        "priced": priced,
    }
