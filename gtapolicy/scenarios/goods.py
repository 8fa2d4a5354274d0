"""What is sold, for how much, and how prices are written."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

GROCERIES = {
    "Oat bread": (2.2, 4.8),
    "Rye rolls": (1.4, 3.2),
    "Butter": (1.9, 3.9),
    "Goat cheese": (3.2, 6.8),
    "Tomatoes": (1.8, 4.2),
    "Olives": (2.1, 4.9),
    "Apple juice": (1.5, 3.6),
    "Honey": (3.9, 8.5),
    "Pasta": (1.1, 2.9),
    "Pesto": (2.2, 4.6),
    "Basmati rice": (2.4, 5.2),
    "Black tea": (2.3, 5.9),
    "Dark chocolate": (1.6, 3.9),
    "Yoghurt": (0.9, 2.4),
    "Free-range eggs": (2.6, 4.9),
    "Spinach": (1.7, 3.3),
    "Walnuts": (2.9, 6.3),
    "Lemonade": (1.2, 2.8),
    "Mushrooms": (1.9, 3.7),
    "Washing powder": (4.9, 9.8),
    "Candles": (2.5, 6.5),
    "Notebook": (1.9, 5.5),
    "Batteries": (3.4, 7.9),
    "Shampoo": (2.9, 6.4),
}
DISHES = {
    "Lentil soup": (4.5, 7.9),
    "Garden salad": (5.2, 9.4),
    "Mushroom risotto": (9.8, 15.5),
    "Beef burger": (9.5, 14.9),
    "Fish tacos": (8.9, 13.8),
    "Spinach quiche": (6.9, 10.5),
    "Margherita pizza": (8.4, 12.9),
    "Pad thai": (9.2, 14.2),
    "Roast chicken": (11.5, 17.8),
    "Grilled trout": (13.5, 19.9),
    "Pumpkin curry": (9.4, 13.9),
    "Potato gratin": (7.4, 11.2),
    "Falafel plate": (8.2, 12.4),
    "Steak frites": (15.9, 23.5),
    "Cheesecake": (3.9, 6.8),
    "Apple crumble": (4.2, 6.5),
    "Lemon tart": (3.8, 6.2),
    "Iced tea": (2.8, 4.4),
    "Flat white": (2.9, 4.6),
    "Mint lemonade": (3.1, 4.9),
    "House red": (4.4, 7.6),
    "Sparkling water": (2.2, 3.6),
}
SIGNS = ("$", "€", "£")


@dataclass(frozen=True, slots=True)
class Item:
    name: str
    price: float


def items(rng: Random, kinds: dict[str, tuple[float, float]], number: int) -> list[Item]:
    """Different goods at different prices, in the order of the shop."""
    chosen = rng.sample(sorted(kinds), number)
    prices: list[float] = []
    for name in chosen:
        low, high = kinds[name]
        price = round(rng.uniform(low, high), 2)
        while price in prices:
            price = round(price + 0.1, 2)
        prices.append(price)
    return [Item(name, price) for name, price in zip(chosen, prices, strict=True)]


def listed(names: list[str]) -> str:
    *others, last = names
    return f"{', '.join(others)} and {last}" if others else last
