"""Boards of prices: market stalls, tickets, parking, exchange rates, dishes."""

from random import Random

from gtapolicy.policy.wording import enumeration
from gtapolicy.scenarios import names
from gtapolicy.scenarios.data import load, phrase
from gtapolicy.scenarios.documents.boards import board
from gtapolicy.scenarios.draft import Draft, read_and_box, read_and_calculate
from gtapolicy.scenarios.goods import CURRENCY_SIGNS, DISHES, items

PRODUCE = load("goods.toml", "produce", list[str])
CURRENCIES = load("goods.toml", "currencies", list[str])
SIGHTS = ("Castle", "Aquarium", "Botanic Garden", "Cable Car", "Science Hall", "Zoo", "Tower")
# The words of queries for the people who pay each fare.
VISITORS = {"Adult": "adults", "Child": "children", "Senior": "pensioners", "Student": "students"}


def market(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family ocr_calc: the price of a basket."""
    sign = rng.choice(CURRENCY_SIGNS)
    prices = {name: f"{rng.uniform(0.9, 7.9):.2f}" for name in rng.sample(PRODUCE, rng.randint(4, 7))}
    kind, title = rng.choice(("chalk", "paper")), f"{names.town(rng)} Farm Stall"
    rows = [(name, f"{sign}{price}") for name, price in prices.items()]
    stall = board(rng, kind, title, rows, notes=["All prices per kg"])
    chosen = rng.sample(sorted(prices), rng.choice((2, 2, 3)))
    weights = {name: rng.choice((0.5, 1.5, 2, 2.5, 3, 4)) for name in chosen}
    basket = enumeration([f"{weight} kg of {name.lower()}" for name, weight in weights.items()])
    query = phrase(rng, "market", basket=basket, person=names.person(rng))
    expression = " + ".join(f"{weight} * {prices[name]}" for name, weight in weights.items())
    origin = "the prices that OCR read times the query's weights"
    return read_and_calculate(query, paths[0], stall.view, expression, origin)


def tickets(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family ocr_calc: the fares of a group."""
    place = f"{names.town(rng)} {rng.choice(SIGHTS)}"
    full = rng.randint(14, 48) / 2
    fares = {"Adult": full, "Child": full - rng.randint(6, 12) / 2, "Senior": full - rng.randint(2, 5) / 2}
    fares["Student"] = full - rng.randint(3, 6) / 2 + 0.2
    rows = [(kind, f"{fare:.2f}") for kind, fare in fares.items()]
    kind, header = rng.choice(("enamel", "paper")), ("Admission", rng.choice(CURRENCY_SIGNS))
    admission = board(rng, kind, place, rows, header)
    group = {kind: rng.randint(2, 5) for kind in rng.sample(sorted(fares), rng.choice((2, 3)))}
    people = enumeration([f"{number} {VISITORS[kind]}" for kind, number in group.items()])
    query = phrase(rng, "tickets", people=people)
    expression = " + ".join(f"{number} * {fares[kind]:.2f}" for kind, number in group.items())
    origin = "the fares that OCR read times the query's people"
    return read_and_calculate(query, paths[0], admission.view, expression, origin)


def parking(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family ocr_calc: the price of some hours."""
    first, further, day = rng.randint(12, 45) / 10, rng.randint(8, 30) / 10, rng.randint(15, 28)
    hours = rng.randint(3, 6)
    prices = {"First hour": first, "Each further hour": further, "Day ticket": day}
    title = rng.choice(("P  Parking", f"Car park {names.town(rng)}", "Pay here"))
    rows = [(name, f"{price:.2f}") for name, price in prices.items()]
    sign = board(rng, "enamel", title, rows, notes=[f"Max. {rng.randint(8, 12)} hours"])
    query = phrase(rng, "parking", hours=hours)
    expression = f"{first:.2f} + ({hours} - 1) * {further:.2f}"
    origin = "the tariff that OCR read and the query's hours"
    return read_and_calculate(query, paths[0], sign.view, expression, origin)


def exchange(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family ocr_calc: an amount of foreign money, to sell or to buy."""
    rates = {}
    for name in rng.sample(CURRENCIES, 5):
        rate = rng.uniform(0.4, 9)
        rates[name] = f"{rate:.3f}", f"{rate * 1.07:.3f}"
    kind, title = rng.choice(("led", "paper")), f"{names.brand(rng)} Exchange"
    rows = [(name, *pair) for name, pair in rates.items()]
    office = board(rng, kind, title, rows, ("1 coin of", "we buy", "we sell"))
    name, amount = rng.choice(sorted(rates)), rng.randint(4, 60) * 10
    # If the user sells, the office buys.
    selling = rng.random() < 0.5
    query = phrase(rng, "exchange_sell" if selling else "exchange_buy", amount=amount, name=name)
    expression = f"{amount} * {rates[name][0 if selling else 1]}"
    origin = f"the query's amount and the rate at which the office {'buys' if selling else 'sells'}"
    return read_and_calculate(query, paths[0], office.view, expression, origin)


def mark_dish(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family circle: a dish that the query identifies only by the rank of its price."""
    dishes = items(rng, DISHES, rng.randint(5, 8))
    sign = rng.choice(CURRENCY_SIGNS)
    kind, title = rng.choice(("chalk", "paper")), names.shop(rng)
    menu = board(rng, kind, title, [(dish.name, f"{sign}{dish.price:.2f}") for dish in dishes])
    ranked = sorted(dishes, key=lambda dish: dish.price)
    budget = ranked[rng.randint(1, len(ranked) - 2)].price + 0.05
    goal, dish = rng.choice(
        (
            ("What is the least expensive choice on here?", ranked[0]),
            ("What is the dearest thing they serve?", ranked[-1]),
            (
                f"I can spend {sign}{budget:.2f} at most; which one is the priciest I can afford?",
                [dish for dish in ranked if dish.price <= budget][-1],
            ),
            ("Which one comes second if you go from cheap to expensive?", ranked[1]),
        )
    )
    query, price = goal + " " + phrase(rng, "mark_dish"), f"{sign}{dish.price:.2f}"
    return read_and_box(query, paths[0], menu.view, menu.rows[dish.name], price)
