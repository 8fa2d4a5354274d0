"""Boards whose numbers one reckons with: price lists, timetables, tariffs, labels, hours, scores, distances."""

from __future__ import annotations

from random import Random

from gtapolicy.pictures.shot import Shot
from gtapolicy.scenarios import names
from gtapolicy.scenarios.boards import board
from gtapolicy.scenarios.draft import Draft, calculate, draw_box, ocr
from gtapolicy.scenarios.goods import DISHES, SIGNS, items, listed

PRODUCE = "Apples Pears Plums Cherries Carrots Leeks Potatoes Beetroot Onions Peppers Grapes Figs Kale Squash".split()
NUTRIENTS = {
    "Fat": (3, 38),
    "Carbohydrate": (20, 75),
    "Sugars": (2, 40),
    "Fibre": (2, 14),
    "Protein": (3, 24),
    "Salt": (0.1, 2.4),
}
CLUBS = "Rovers United Falcons Wanderers Hornets Otters Lynx Comets".split()
DAYS = "Monday Tuesday Wednesday Thursday Friday Saturday Sunday".split()
CURRENCIES = "Florin Taler Krona Peso Dinar Rupia Zeni Marka Solar Lira".split()


def _reckoned(query: str, path: str, shot: Shot, expression: str, origin: str) -> Draft:
    return Draft(query, (shot,), (ocr(path, shot), calculate(expression, origin)))


def market(rng: Random, paths: tuple[str, ...]) -> Draft:
    sign = rng.choice(SIGNS)
    prices = {name: f"{rng.uniform(0.9, 7.9):.2f}" for name in rng.sample(PRODUCE, rng.randint(4, 7))}
    shown = board(rng, rng.choice(("chalk", "paper")), f"{names.town(rng)} Farm Stall",
                  [(name, f"{sign}{price}") for name, price in prices.items()],
                  notes=["All prices per kg"])  # fmt: skip
    bought = {
        name: rng.choice((0.5, 1.5, 2, 2.5, 3, 4))
        for name in rng.sample(sorted(prices), rng.choice((2, 2, 3)))
    }
    basket = listed([f"{weight} kg of {name.lower()}" for name, weight in bought.items()])
    query = rng.choice((
        f"I'd like {basket}. What will the stall ask for that?",
        f"How much do I pay here for {basket}?",
        f"{names.person(rng)} wants me to fetch {basket} from this stall. How much money should I bring?",
    ))  # fmt: skip
    expression = " + ".join(f"{weight} * {prices[name]}" for name, weight in bought.items())
    return _reckoned(
        query, paths[0], shown.shot, expression, "the prices that OCR read times the query's weights"
    )


def tickets(rng: Random, paths: tuple[str, ...]) -> Draft:
    place = f"{names.town(rng)} {rng.choice(('Castle', 'Aquarium', 'Botanic Garden', 'Cable Car', 'Science Hall', 'Zoo'))}"
    full = rng.randint(14, 48) / 2
    fares = {"Adult": full, "Child": full - rng.randint(6, 12) / 2, "Senior": full - rng.randint(2, 5) / 2}
    fares["Student"] = full - rng.randint(3, 6) / 2 + 0.2
    rows = [(kind, f"{fare:.2f}") for kind, fare in fares.items()]
    shown = board(rng, rng.choice(("enamel", "paper")), place, rows, ("Admission", rng.choice(SIGNS)))
    who = rng.sample(sorted(fares), rng.choice((2, 3)))
    group = {kind: rng.randint(2, 5) for kind in who}
    words = {"Adult": "adults", "Child": "children", "Senior": "pensioners", "Student": "students"}
    people = listed([f"{number} {words[kind]}" for kind, number in group.items()])
    query = rng.choice((
        f"What does the visit cost for {people}?",
        f"We're coming with {people}. How much do we pay at the entrance?",
        f"I have to book for {people}; add up the tickets for me, please.",
    ))  # fmt: skip
    expression = " + ".join(f"{number} * {fares[kind]:.2f}" for kind, number in group.items())
    return _reckoned(
        query, paths[0], shown.shot, expression, "the fares that OCR read times the query's people"
    )


def journey(rng: Random, paths: tuple[str, ...]) -> Draft:
    stops, clock, rows = names.towns(rng, rng.randint(5, 7)), rng.randint(360, 1080), []
    for stop in stops:
        rows.append((stop, f"{clock // 60:02d}:{clock % 60:02d}"))
        clock += rng.randint(7, 58)
    kind = rng.choice(("led", "paper", "enamel"))
    line = rng.choice(("Line {}", "Bus {}", "Train {}", "Ferry {}")).format(rng.randint(2, 97))
    shown = board(rng, kind, f"{line} to {stops[-1]}", rows, ("Stop", "Time"))
    start, end = sorted(rng.sample(range(len(stops)), 2))
    query = rng.choice((
        f"How many minutes does it take from {stops[start]} to {stops[end]}?",
        f"I get on in {stops[start]} and off in {stops[end]}. For how many minutes do I sit there?",
        f"If I travel from {stops[start]} as far as {stops[end]}, how long is that in minutes?",
    ))  # fmt: skip
    (hour, minute), (later, past) = (map(int, rows[stop][1].split(":")) for stop in (start, end))
    expression = f"({later} * 60 + {past}) - ({hour} * 60 + {minute})"
    return _reckoned(query, paths[0], shown.shot, expression, "the two times that OCR read, in minutes")


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
    query = rng.choice((
        f"I'll leave the car here for {hours} hours without a day ticket. What does it cost?",
        f"What would {hours} hours on this car park come to, paid by the hour?",
        f"My meeting lasts {hours} hours, and I pay by the hour. How much do I feed the machine?",
    ))  # fmt: skip
    expression = f"{first:.2f} + ({hours} - 1) * {more:.2f}"
    return _reckoned(
        query, paths[0], shown.shot, expression, "the tariff that OCR read and the query's hours"
    )


def label(rng: Random, paths: tuple[str, ...]) -> Draft:
    facts = {name: f"{rng.uniform(low, high):.1f}" for name, (low, high) in NUTRIENTS.items()}
    energy = rng.randint(180, 560)
    rows = [("Energy", f"{energy} kcal"), *((name, f"{grams} g") for name, grams in facts.items())]
    shown = board(rng, "paper", f"{names.brand(rng)} {rng.choice(('Muesli', 'Crackers', 'Oat Bars', 'Granola'))}",
                  rows, ("Nutrition", "per 100 g"))  # fmt: skip
    name = rng.choice(["energy", *facts])
    grams = rng.choice((30, 40, 45, 60, 75, 80, 125, 150, 250))
    what, per_100 = ("kcal", str(energy)) if name == "energy" else (f"grams of {name.lower()}", facts[name])
    query = rng.choice((
        f"I had {grams} g of this. How many {what} is that?",
        f"How many {what} are in a serving of {grams} grams?",
        f"For my food diary: {what} in {grams} g of this stuff?",
    ))  # fmt: skip
    return _reckoned(query, paths[0], shown.shot, f"{per_100} * {grams} / 100",
                     "the value per 100 g that OCR read, and the query's grams")  # fmt: skip


def hours(rng: Random, paths: tuple[str, ...]) -> Draft:
    days = DAYS[: rng.randint(4, 6)]
    worked = {day: rng.randint(7, 19) / 2 for day in days}
    rows = [(day, f"{worked[day]:g} h") for day in days]
    who, wage = names.person(rng), rng.randint(26, 62) / 2
    shown = board(rng, "paper", f"Hours: {who}", rows, notes=[f"Week of {names.date(rng)}"])
    query = rng.choice((
        f"At {wage:.2f} an hour, what is owed for this week?",
        f"Please work out the pay for the week shown, {wage:.2f} per hour.",
        f"{who} earns {wage:.2f} an hour. What goes on the pay slip for these days?",
    ))  # fmt: skip
    expression = f"({' + '.join(f'{worked[day]:g}' for day in days)}) * {wage:.2f}"
    return _reckoned(
        query, paths[0], shown.shot, expression, "the hours that OCR read, times the query's wage"
    )


def exchange(rng: Random, paths: tuple[str, ...]) -> Draft:
    rates = {
        name: (f"{(buy := rng.uniform(0.4, 9)):.3f}", f"{buy * 1.07:.3f}")
        for name in rng.sample(CURRENCIES, 5)
    }
    shown = board(rng, rng.choice(("led", "paper")), f"{names.brand(rng)} Exchange",
                  [(name, *pair) for name, pair in rates.items()], ("1 coin of", "we buy", "we sell"))  # fmt: skip
    name, amount = rng.choice(sorted(rates)), rng.randint(4, 60) * 10
    selling = rng.random() < 0.5
    query = (
        rng.choice((f"I want to get rid of {amount} {name}. What do I receive here?",
                    f"What will this office hand me for my {amount} {name}?"))
        if selling
        else rng.choice((f"I need {amount} {name} for my holiday. What does that cost me here?",
                         f"How much must I pay at this window to take home {amount} {name}?"))
    )  # fmt: skip
    rate = rates[name][0 if selling else 1]
    return _reckoned(query, paths[0], shown.shot, f"{amount} * {rate}",
                     f"the query's amount and the rate at which the office {'buys' if selling else 'sells'}")  # fmt: skip


def league(rng: Random, paths: tuple[str, ...]) -> Draft:
    teams = [f"{town} {rng.choice(CLUBS)}" for town in names.towns(rng, rng.randint(4, 6))]
    table = [(team, rng.randint(0, 12), rng.randint(0, 8), rng.randint(0, 9)) for team in teams]
    table.sort(key=lambda row: -(3 * row[1] + row[2]))
    shown = board(rng, rng.choice(("led", "paper")), f"{names.town(rng)} League",
                  [(team, str(w), str(d), str(lost)) for team, w, d, lost in table],
                  ("Team", "Won", "Drawn", "Lost"))  # fmt: skip
    team, won, drawn, lost = rng.choice(table)
    if rng.random() < 0.5:
        query = rng.choice((f"With 3 points for a win and 1 for a draw, how many points have {team} got?",
                            f"A win gives 3 points, a draw 1: what is the tally of {team}?"))  # fmt: skip
        expression = f"3 * {won} + {drawn}"
    else:
        query = rng.choice((f"What share of their matches, in percent, did {team} win?",
                            f"Tell me the win rate of {team} in percent."))  # fmt: skip
        expression = f"{won} / ({won} + {drawn} + {lost}) * 100"
        if won + drawn + lost == 0:
            expression = f"3 * {won} + {drawn}"
    return _reckoned(query, paths[0], shown.shot, expression, "the row of that team that OCR read")


def distances(rng: Random, paths: tuple[str, ...]) -> Draft:
    places = names.towns(rng, rng.randint(3, 5))
    far = sorted(rng.sample(range(6, 240), len(places)))
    rows = [(place, f"{km} km") for place, km in zip(places, far, strict=True)]
    shown = board(rng, "enamel", rng.choice(("Motorway", f"A{rng.randint(2, 98)}", "Route")), rows)
    at = rng.randrange(len(places))
    if at and rng.random() < 0.5:
        query = rng.choice((f"How far is it from {places[at - 1]} to {places[at]} on this road, in km?",
                            f"What distance lies between {places[at - 1]} and {places[at]}?"))  # fmt: skip
        return _reckoned(
            query, paths[0], shown.shot, f"{far[at]} - {far[at - 1]}", "the distances that OCR read"
        )
    speed = rng.choice((15, 18, 24, 50, 60, 80, 90, 110))
    query = rng.choice((f"At {speed} km/h, how many minutes until we reach {places[at]}?",
                        f"We do {speed} km/h on average. How many minutes are left to {places[at]}?"))  # fmt: skip
    return _reckoned(query, paths[0], shown.shot, f"{far[at]} / {speed} * 60",
                     "the distance that OCR read and the query's speed")  # fmt: skip


def recipe(rng: Random, paths: tuple[str, ...]) -> Draft:
    serves, guests = rng.choice(((4, 10), (2, 5), (6, 9), (3, 7), (4, 14), (8, 20)))
    goods = {
        "Flour": "g",
        "Milk": "ml",
        "Sugar": "g",
        "Butter": "g",
        "Cocoa": "g",
        "Cream": "ml",
        "Oats": "g",
    }
    amounts = {name: rng.randint(4, 50) * 10 for name in rng.sample(sorted(goods), rng.randint(4, 6))}
    dish = rng.choice(("Pancakes", "Crumble", "Sponge Cake", "Waffles", "Porridge Slices", "Brownies"))
    shown = board(rng, "paper", f"{rng.choice(names.FIRST)}'s {dish}",
                  [(name, f"{amount} {goods[name]}") for name, amount in amounts.items()],
                  notes=[f"Serves {serves}", f"Bake {rng.randint(18, 45)} min at {rng.choice((170, 180, 200))} °C"])  # fmt: skip
    name = rng.choice(sorted(amounts))
    query = rng.choice((
        f"{guests} people are coming. How much {name.lower()} do I need?",
        f"I'm making this for {guests}: what amount of {name.lower()} ({goods[name]}) goes in?",
    ))  # fmt: skip
    return _reckoned(query, paths[0], shown.shot, f"{amounts[name]} / {serves} * {guests}",
                     "the amount and the servings that OCR read, and the query's guests")  # fmt: skip


def mark_dish(rng: Random, paths: tuple[str, ...]) -> Draft:
    """For circle: the price decides, and it must be read."""
    dishes = items(rng, DISHES, rng.randint(5, 8))
    sign = rng.choice(SIGNS)
    shown = board(rng, rng.choice(("chalk", "paper")), names.shop(rng),
                  [(dish.name, f"{sign}{dish.price:.2f}") for dish in dishes])  # fmt: skip
    ranked = sorted(dishes, key=lambda dish: dish.price)
    budget = ranked[rng.randint(1, len(ranked) - 2)].price + 0.05
    affordable = [dish for dish in dishes if dish.price <= budget]
    goal, dish = rng.choice((
        ("What is the least expensive choice on here?", ranked[0]),
        ("What is the dearest thing they serve?", ranked[-1]),
        (f"I can spend {sign}{budget:.2f} at most; which one is the priciest I can afford?",
         max(affordable, key=lambda dish: dish.price)),
        ("Which one comes second if you go from cheap to expensive?", ranked[1]),
    ))  # fmt: skip
    ending = rng.choice(("Frame it and write its price on the frame.", "Draw a box around that line, with its price.",
                         "Mark it with a box that says what it costs."))  # fmt: skip
    annotation = f"{sign}{dish.price:.2f}"
    steps = (ocr(paths[0], shown.shot), draw_box(paths[0], shown.shot, shown.rows[dish.name], annotation))
    return Draft(f"{goal} {ending}", (shown.shot,), steps)


def mark_departure(rng: Random, paths: tuple[str, ...]) -> Draft:
    """For circle: the first departure after a given time."""
    ends, minutes = names.towns(rng, rng.randint(5, 7)), sorted(rng.sample(range(360, 1380), 7))
    rows = [(end, f"{at // 60:02d}:{at % 60:02d}", str(rng.randint(1, 19)))
            for end, at in zip(ends, minutes, strict=False)]  # fmt: skip
    shown = board(rng, rng.choice(("led", "led", "paper")), "Departures", rows, ("To", "Time", "Platform"))
    at = rng.randrange(1, len(rows))
    now = rng.randint(minutes[at - 1], minutes[at] - 1)
    clock = f"{now // 60:02d}:{now % 60:02d}"
    place, _, platform = rows[at]
    query = rng.choice((
        f"It is {clock}. Box the next one that leaves and note its platform on the box.",
        f"My taxi arrives at {clock}. Which is the first I can still catch? Mark it, with the platform as label.",
        f"Highlight the next departure after {clock} with a box; the label is the platform's number.",
    ))  # fmt: skip
    steps = (ocr(paths[0], shown.shot), draw_box(paths[0], shown.shot, shown.rows[place], platform))
    return Draft(query, (shown.shot,), steps)


def mark_row(rng: Random, paths: tuple[str, ...]) -> Draft:
    """For circle, without annotation: the highest or lowest of a day's readings."""
    what, unit = rng.choice(
        (("Visitors", ""), ("Rainfall", " mm"), ("Steps", ""), ("Sales", ""), ("Minutes read", ""))
    )
    numbers = rng.sample(range(12, 980), 7)
    shown = board(rng, "paper", f"{what}, week {rng.randint(2, 51)}",
                  [(day, f"{number}{unit}") for day, number in zip(DAYS, numbers, strict=True)])  # fmt: skip
    best = rng.random() < 0.5
    day = DAYS[numbers.index(max(numbers) if best else min(numbers))]
    goal = rng.choice(("highest", "largest", "biggest") if best else ("lowest", "smallest", "weakest"))
    query = rng.choice((f"Draw a plain box around the day with the {goal} figure.",
                        f"Which day had the {goal} number? Just frame that line, without any label."))  # fmt: skip
    steps = (ocr(paths[0], shown.shot), draw_box(paths[0], shown.shot, shown.rows[day]))
    return Draft(query, (shown.shot,), steps)
