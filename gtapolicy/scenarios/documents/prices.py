"""Boards of prices: stalls, tickets, tariffs, rates, dishes."""

from __future__ import annotations

from random import Random

from gtapolicy.scenarios import names
from gtapolicy.scenarios.documents.boards import board
from gtapolicy.scenarios.draft import Draft, draw_box, ocr, reckoned
from gtapolicy.scenarios.goods import DISHES, SIGNS, items, listed

PRODUCE = (
    "Apples Pears Plums Cherries Carrots Leeks Potatoes Beetroot Onions Peppers Grapes Figs Kale".split()
)
SIGHTS = ("Castle", "Aquarium", "Botanic Garden", "Cable Car", "Science Hall", "Zoo", "Tower")
CURRENCIES = "Florin Taler Krona Peso Dinar Rupia Zeni Marka Solar Lira".split()


def market(rng: Random, paths: tuple[str, ...]) -> Draft:
    sign = rng.choice(SIGNS)
    prices = {name: f"{rng.uniform(0.9, 7.9):.2f}" for name in rng.sample(PRODUCE, rng.randint(4, 7))}
    shown = board(
        rng,
        rng.choice(("chalk", "paper")),
        f"{names.town(rng)} Farm Stall",
        [(name, f"{sign}{price}") for name, price in prices.items()],
        notes=["All prices per kg"],
    )
    bought = {
        name: rng.choice((0.5, 1.5, 2, 2.5, 3, 4))
        for name in rng.sample(sorted(prices), rng.choice((2, 2, 3)))
    }
    basket = listed([f"{weight} kg of {name.lower()}" for name, weight in bought.items()])
    query = rng.choice(
        (
            f"I'd like {basket}. What will the stall ask for that?",
            f"How much do I pay here for {basket}?",
            f"{names.person(rng)} wants me to fetch {basket} from this stall. How much money should I bring?",
        )
    )
    expression = " + ".join(f"{weight} * {prices[name]}" for name, weight in bought.items())
    return reckoned(
        query, paths[0], shown.shot, expression, "the prices that OCR read times the query's weights"
    )


def tickets(rng: Random, paths: tuple[str, ...]) -> Draft:
    place = f"{names.town(rng)} {rng.choice(SIGHTS)}"
    full = rng.randint(14, 48) / 2
    fares = {"Adult": full, "Child": full - rng.randint(6, 12) / 2, "Senior": full - rng.randint(2, 5) / 2}
    fares["Student"] = full - rng.randint(3, 6) / 2 + 0.2
    rows = [(kind, f"{fare:.2f}") for kind, fare in fares.items()]
    shown = board(rng, rng.choice(("enamel", "paper")), place, rows, ("Admission", rng.choice(SIGNS)))
    who = rng.sample(sorted(fares), rng.choice((2, 3)))
    group = {kind: rng.randint(2, 5) for kind in who}
    words = {"Adult": "adults", "Child": "children", "Senior": "pensioners", "Student": "students"}
    people = listed([f"{number} {words[kind]}" for kind, number in group.items()])
    query = rng.choice(
        (
            f"What does the visit cost for {people}?",
            f"We're coming with {people}. How much do we pay at the entrance?",
            f"I have to book for {people}; add up the tickets for me, please.",
        )
    )
    expression = " + ".join(f"{number} * {fares[kind]:.2f}" for kind, number in group.items())
    return reckoned(
        query, paths[0], shown.shot, expression, "the fares that OCR read times the query's people"
    )


def parking(rng: Random, paths: tuple[str, ...]) -> Draft:
    first, more, top = rng.randint(12, 45) / 10, rng.randint(8, 30) / 10, rng.randint(15, 28)
    hours = rng.randint(3, 6)
    rows = [
        ("First hour", f"{first:.2f}"),
        ("Each further hour", f"{more:.2f}"),
        ("Day ticket", f"{top:.2f}"),
    ]
    title = rng.choice(("P  Parking", f"Car park {names.town(rng)}", "Pay here"))
    shown = board(rng, "enamel", title, rows, notes=[f"Max. {rng.randint(8, 12)} hours"])
    query = rng.choice(
        (
            f"I'll leave the car here for {hours} hours without a day ticket. What does it cost?",
            f"What would {hours} hours on this car park come to, paid by the hour?",
            f"My meeting lasts {hours} hours, and I pay by the hour. How much do I feed the machine?",
        )
    )
    expression = f"{first:.2f} + ({hours} - 1) * {more:.2f}"
    return reckoned(query, paths[0], shown.shot, expression, "the tariff that OCR read and the query's hours")


def exchange(rng: Random, paths: tuple[str, ...]) -> Draft:
    rates = {
        name: (f"{(buy := rng.uniform(0.4, 9)):.3f}", f"{buy * 1.07:.3f}")
        for name in rng.sample(CURRENCIES, 5)
    }
    shown = board(
        rng,
        rng.choice(("led", "paper")),
        f"{names.brand(rng)} Exchange",
        [(name, *pair) for name, pair in rates.items()],
        ("1 coin of", "we buy", "we sell"),
    )
    name, amount = rng.choice(sorted(rates)), rng.randint(4, 60) * 10
    selling = rng.random() < 0.5
    query = (
        rng.choice(
            (
                f"I want to get rid of {amount} {name}. What do I receive here?",
                f"What will this office hand me for my {amount} {name}?",
            )
        )
        if selling
        else rng.choice(
            (
                f"I need {amount} {name} for my holiday. What does that cost me here?",
                f"How much must I pay at this window to take home {amount} {name}?",
            )
        )
    )
    rate = rates[name][0 if selling else 1]
    return reckoned(
        query,
        paths[0],
        shown.shot,
        f"{amount} * {rate}",
        f"the query's amount and the rate at which the office {'buys' if selling else 'sells'}",
    )


def mark_dish(rng: Random, paths: tuple[str, ...]) -> Draft:
    """For circle: the price decides, and it must be read."""
    dishes = items(rng, DISHES, rng.randint(5, 8))
    sign = rng.choice(SIGNS)
    shown = board(
        rng,
        rng.choice(("chalk", "paper")),
        names.shop(rng),
        [(dish.name, f"{sign}{dish.price:.2f}") for dish in dishes],
    )
    ranked = sorted(dishes, key=lambda dish: dish.price)
    budget = ranked[rng.randint(1, len(ranked) - 2)].price + 0.05
    affordable = [dish for dish in dishes if dish.price <= budget]
    goal, dish = rng.choice(
        (
            ("What is the least expensive choice on here?", ranked[0]),
            ("What is the dearest thing they serve?", ranked[-1]),
            (
                f"I can spend {sign}{budget:.2f} at most; which one is the priciest I can afford?",
                max(affordable, key=lambda dish: dish.price),
            ),
            ("Which one comes second if you go from cheap to expensive?", ranked[1]),
        )
    )
    ending = rng.choice(
        (
            "Frame it and write its price on the frame.",
            "Draw a box around that line, with its price.",
            "Mark it with a box that says what it costs.",
        )
    )
    annotation = f"{sign}{dish.price:.2f}"
    steps = (ocr(paths[0], shown.shot), draw_box(paths[0], shown.shot, shown.rows[dish.name], annotation))
    return Draft(f"{goal} {ending}", (shown.shot,), steps)
