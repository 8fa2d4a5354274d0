"""What stands on a table, and the menu that says what it costs."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

from gtapolicy.pictures.camera import frontal_view
from gtapolicy.pictures.canvas import Canvas
from gtapolicy.pictures.objects import OBJECTS
from gtapolicy.pictures.settings import SETTINGS, place_objects, table
from gtapolicy.scenarios import names
from gtapolicy.scenarios.documents.boards import board
from gtapolicy.scenarios.draft import Draft, calculate, count, describe, ocr
from gtapolicy.scenarios.goods import DISHES, SIGNS, items, listed
from gtapolicy.scenarios.views.collections import PLURALS

FOOD = {
    "burger": (("Beef burger", "House burger", "Veggie burger"), (8, 15)),
    "pizza": (("Pizza Salami", "Pizza Diavola", "Pizza of the day"), (8, 14)),
    "soup": (("Pumpkin soup", "Carrot soup", "Soup of the day"), (4, 8)),
    "cup": (("Filter coffee", "Black coffee", "Mug of coffee"), (2, 5)),
    "glass": (("Orange juice", "Fresh juice", "Carrot juice"), (3, 6)),
    "cupcake": (("Cupcake", "Cherry cupcake", "Berry cupcake"), (2, 5)),
}
"""What it is called on menus, and what it costs."""
WHAT = {"cup": "cup of coffee", "glass": "glass of juice", "soup": "bowl of soup"}
MANY = {"cup": "cups of coffee", "glass": "glasses of juice", "soup": "bowls of soup"}


def ordered(rng: Random, paths: tuple[str, ...]) -> Draft:
    """For menu_count: one kind is counted and paid at the price that the menu asks."""
    canvas = Canvas(rng.choice((520, 580)), rng.choice((360, 400)))
    table(canvas, rng)
    kinds = rng.sample(sorted(FOOD), rng.choice((1, 2, 2)))
    bag = [kinds[0]] * rng.randint(2, 5) + [kind for kind in kinds[1:] for _ in range(rng.randint(1, 2))]
    rng.shuffle(bag)
    place_objects(
        canvas,
        rng,
        replace(SETTINGS["table"], rows=(0.54, 0.92)),
        [(kind, OBJECTS[kind].color) for kind in bag],
    )
    photo, counts = frontal_view(canvas, rng), Counter(bag)

    prices = {kind: (rng.choice(FOOD[kind][0]), f"{rng.uniform(*FOOD[kind][1]):.2f}") for kind in FOOD}
    sign, house = rng.choice(SIGNS), names.shop(rng)
    rows = [(name, f"{sign}{price}") for name, price in prices.values()]
    rows += [(dish.name, f"{sign}{dish.price:.2f}") for dish in items(rng, _others(), rng.randint(1, 3))]
    rng.shuffle(rows)
    menu = board(rng, rng.choice(("chalk", "paper", "paper")), house, rows)

    shots, where = (photo, menu.shot), [0, 1]
    if rng.random() < 0.5:
        shots, where = (menu.shot, photo), [1, 0]
    kind, (name, price) = kinds[0], prices[kinds[0]]
    number = counts[kind]
    many, title = MANY.get(kind, PLURALS.get(kind, kind + "s")), name.lower()
    query, expression, origin = _question(rng, many, title, number, price)
    seen = listed(
        [MANY.get(k, k + "s") if n > 1 else f"a {WHAT.get(k, k)}" for k, n in sorted(counts.items())]
    )
    sentences = [f"A table with {seen}.", f"The menu of a restaurant called {house}, with prices."]
    descriptions = {where[0]: sentences[0], where[1]: sentences[1]}
    steps = (
        describe(paths[0], descriptions[0]),
        describe(paths[1], descriptions[1]),
        ocr(paths[where[1]], menu.shot),
        count(paths[where[0]], WHAT.get(kind, kind), number, "what is to be paid, and the description shows"),
        calculate(expression, origin),
    )
    return Draft(query, shots, steps)


def _question(rng: Random, many: str, title: str, number: int, price: str) -> tuple[str, str, str]:
    tip = rng.choice((5, 10, 12, 15))
    each = "the number counted and the price that OCR read"
    return rng.choice(
        (
            (
                f"We had the {many} you can see; on the menu that's '{title}'. What do we owe for them?",
                f"{number} * {price}",
                each,
            ),
            (
                f"At the prices given, how much do all the {many} on the table cost ('{title}')?",
                f"{number} * {price}",
                each,
            ),
            (
                f"Each of the {many} counts as one {title}. What's the bill for these with a {tip}% tip?",
                f"{number} * {price} * (1 + {tip} / 100)",
                f"{each}, and the query's tip",
            ),
            (
                f"I have a voucher over 5. What do I still pay for the {many} we ordered ('{title}')?",
                f"{number} * {price} - 5",
                f"{each}, and the query's voucher",
            ),
        )
    )


def _others() -> dict[str, tuple[float, float]]:
    return {
        name: prices
        for name, prices in DISHES.items()
        if not any(word in name for word in ("burger", "pizza", "soup"))
    }
