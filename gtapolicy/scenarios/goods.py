"""Goods and their prices."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from gtapolicy.scenarios.data import load

PriceRange = tuple[float, float]
GROCERIES = load("goods.toml", "groceries", dict[str, PriceRange])
DISHES = load("goods.toml", "dishes", dict[str, PriceRange])
CURRENCY_SIGNS = ("$", "€", "£")


@dataclass(frozen=True, slots=True)
class Item:
    name: str
    price: float


def items(rng: Random, price_ranges: Mapping[str, PriceRange], number: int) -> list[Item]:
    """Different goods at different prices."""
    chosen = rng.sample(sorted(price_ranges), number)
    prices: list[float] = []
    for name in chosen:
        price = round(rng.uniform(*price_ranges[name]), 2)
        while price in prices:
            price = round(price + 0.1, 2)
        prices.append(price)
    return [Item(name, price) for name, price in zip(chosen, prices, strict=True)]
