"""Two images: a table with food, and the menu with the prices of the food."""

from collections import Counter
from dataclasses import dataclass, replace
from random import Random

from gtapolicy.pictures.camera import frontal_view
from gtapolicy.pictures.canvas import Canvas
from gtapolicy.pictures.settings import SETTINGS, place_objects
from gtapolicy.policy.wording import enumeration
from gtapolicy.scenarios import names
from gtapolicy.scenarios.calls import calculate, count, describe, ocr
from gtapolicy.scenarios.data import calculation, load
from gtapolicy.scenarios.documents.boards import board
from gtapolicy.scenarios.draft import Draft
from gtapolicy.scenarios.goods import CURRENCY_SIGNS, DISHES, PriceRange, items


@dataclass(frozen=True, slots=True)
class MenuItem:
    # The color of the drawn object.
    color: str
    # Its names on menus.
    names: tuple[str, ...]
    price: PriceRange
    # Its names in queries and descriptions.
    singular: str
    plural: str


# By the name of the object that is drawn.
MENU = load("goods.toml", "menu", dict[str, MenuItem])
TABLE = replace(SETTINGS["table"], rows=(0.54, 0.92))
# Other dishes on the menu. Their names must differ clearly from the food on the table.
OTHER_DISHES = {
    name: price_range
    for name, price_range in DISHES.items()
    if not any(word in name for word in ("burger", "pizza", "soup"))
}


def count_and_price(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family menu_count: count one kind of food in one image; its price is in the other image."""
    canvas = Canvas(rng.choice((520, 580)), rng.choice((360, 400)))
    TABLE.draw(canvas, rng)
    kinds = rng.sample(sorted(MENU), rng.choice((1, 2, 2)))
    food = [kinds[0]] * rng.randint(2, 5) + [kind for kind in kinds[1:] for _ in range(rng.randint(1, 2))]
    rng.shuffle(food)
    place_objects(canvas, rng, TABLE, [(kind, MENU[kind].color) for kind in food])
    photo, counts = frontal_view(canvas, rng), Counter(food)
    prices = {
        kind: (rng.choice(item.names), f"{rng.uniform(*item.price):.2f}") for kind, item in MENU.items()
    }
    sign, restaurant = rng.choice(CURRENCY_SIGNS), names.shop(rng)
    rows = [(name, f"{sign}{price}") for name, price in prices.values()]
    others = items(rng, OTHER_DISHES, rng.randint(1, 3))
    rows += [(dish.name, f"{sign}{dish.price:.2f}") for dish in others]
    rng.shuffle(rows)
    menu = board(rng, rng.choice(("chalk", "paper", "paper")), restaurant, rows)
    on_table = [MENU[k].plural if n > 1 else f"a {MENU[k].singular}" for k, n in sorted(counts.items())]
    images = [
        (photo, f"A table with {enumeration(on_table)}."),
        (menu.view, f"The menu of a restaurant called {restaurant}, with prices."),
    ]
    # Either image can be the first.
    photo_path, menu_path = paths
    if rng.random() < 0.5:
        images.reverse()
        menu_path, photo_path = paths
    kind, number = kinds[0], counts[kinds[0]]
    name, price = prices[kind]
    values = {"plural": MENU[kind].plural, "name": name.lower(), "number": number, "price": price}
    query, expression, origin = calculation(rng, "count_and_price", **values, tip=rng.choice((5, 10, 12, 15)))
    counted = "what is to be paid, and the description shows"
    steps = (
        *(describe(path, sentence, "several") for path, (_, sentence) in zip(paths, images, strict=True)),
        ocr(menu_path, menu.view, "order"),
        count(photo_path, MENU[kind].singular, number, "order", counted),
        calculate(expression, origin),
    )
    return Draft(query, (images[0][0], images[1][0]), steps)
