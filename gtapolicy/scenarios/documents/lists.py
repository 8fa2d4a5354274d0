"""Boards of other numbers: timetables, labels, hours, scores, distances, recipes."""

from __future__ import annotations

from random import Random

from gtapolicy.scenarios import names
from gtapolicy.scenarios.documents.boards import board
from gtapolicy.scenarios.draft import Draft, draw_box, ocr, reckoned

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


def journey(rng: Random, paths: tuple[str, ...]) -> Draft:
    stops, clock, rows = names.towns(rng, rng.randint(5, 7)), rng.randint(360, 1080), []
    for stop in stops:
        rows.append((stop, f"{clock // 60:02d}:{clock % 60:02d}"))
        clock += rng.randint(7, 58)
    kind = rng.choice(("led", "paper", "enamel"))
    line = rng.choice(("Line {}", "Bus {}", "Train {}", "Ferry {}")).format(rng.randint(2, 97))
    shown = board(rng, kind, f"{line} to {stops[-1]}", rows, ("Stop", "Time"))
    start, end = sorted(rng.sample(range(len(stops)), 2))
    query = rng.choice(
        (
            f"How many minutes does it take from {stops[start]} to {stops[end]}?",
            f"I get on in {stops[start]} and off in {stops[end]}. For how many minutes do I sit there?",
            f"If I travel from {stops[start]} as far as {stops[end]}, how long is that in minutes?",
        )
    )
    (hour, minute), (later, past) = (map(int, rows[stop][1].split(":")) for stop in (start, end))
    expression = f"({later} * 60 + {past}) - ({hour} * 60 + {minute})"
    return reckoned(query, paths[0], shown.shot, expression, "the two times that OCR read, in minutes")


def label(rng: Random, paths: tuple[str, ...]) -> Draft:
    facts = {name: f"{rng.uniform(low, high):.1f}" for name, (low, high) in NUTRIENTS.items()}
    energy = rng.randint(180, 560)
    rows = [("Energy", f"{energy} kcal"), *((name, f"{grams} g") for name, grams in facts.items())]
    shown = board(
        rng,
        "paper",
        f"{names.brand(rng)} {rng.choice(('Muesli', 'Crackers', 'Oat Bars', 'Granola'))}",
        rows,
        ("Nutrition", "per 100 g"),
    )
    name = rng.choice(["energy", *facts])
    grams = rng.choice((30, 40, 45, 60, 75, 80, 125, 150, 250))
    what, per_100 = ("kcal", str(energy)) if name == "energy" else (f"grams of {name.lower()}", facts[name])
    query = rng.choice(
        (
            f"I had {grams} g of this. How many {what} is that?",
            f"How many {what} are in a serving of {grams} grams?",
            f"For my food diary: {what} in {grams} g of this stuff?",
        )
    )
    return reckoned(
        query,
        paths[0],
        shown.shot,
        f"{per_100} * {grams} / 100",
        "the value per 100 g that OCR read, and the query's grams",
    )


def hours(rng: Random, paths: tuple[str, ...]) -> Draft:
    days = DAYS[: rng.randint(4, 6)]
    worked = {day: rng.randint(7, 19) / 2 for day in days}
    rows = [(day, f"{worked[day]:g} h") for day in days]
    who, wage = names.person(rng), rng.randint(26, 62) / 2
    shown = board(rng, "paper", f"Hours: {who}", rows, notes=[f"Week of {names.date(rng)}"])
    query = rng.choice(
        (
            f"At {wage:.2f} an hour, what is owed for this week?",
            f"Please work out the pay for the week shown, {wage:.2f} per hour.",
            f"{who} earns {wage:.2f} an hour. What goes on the pay slip for these days?",
        )
    )
    expression = f"({' + '.join(f'{worked[day]:g}' for day in days)}) * {wage:.2f}"
    return reckoned(
        query, paths[0], shown.shot, expression, "the hours that OCR read, times the query's wage"
    )


def league(rng: Random, paths: tuple[str, ...]) -> Draft:
    teams = [f"{town} {rng.choice(CLUBS)}" for town in names.towns(rng, rng.randint(4, 6))]
    table = [(team, rng.randint(0, 12), rng.randint(0, 8), rng.randint(0, 9)) for team in teams]
    table.sort(key=lambda row: -(3 * row[1] + row[2]))
    shown = board(
        rng,
        rng.choice(("led", "paper")),
        f"{names.town(rng)} League",
        [(team, str(w), str(d), str(lost)) for team, w, d, lost in table],
        ("Team", "Won", "Drawn", "Lost"),
    )
    team, won, drawn, lost = rng.choice(table)
    if rng.random() < 0.5:
        query = rng.choice(
            (
                f"With 3 points for a win and 1 for a draw, how many points have {team} got?",
                f"A win gives 3 points, a draw 1: what is the tally of {team}?",
            )
        )
        expression = f"3 * {won} + {drawn}"
    else:
        query = rng.choice(
            (
                f"What share of their matches, in percent, did {team} win?",
                f"Tell me the win rate of {team} in percent.",
            )
        )
        expression = f"{won} / ({won} + {drawn} + {lost}) * 100"
        if won + drawn + lost == 0:
            expression = f"3 * {won} + {drawn}"
    return reckoned(query, paths[0], shown.shot, expression, "the row of that team that OCR read")


def distances(rng: Random, paths: tuple[str, ...]) -> Draft:
    places = names.towns(rng, rng.randint(3, 5))
    far = sorted(rng.sample(range(6, 240), len(places)))
    rows = [(place, f"{km} km") for place, km in zip(places, far, strict=True)]
    shown = board(rng, "enamel", rng.choice(("Motorway", f"A{rng.randint(2, 98)}", "Route")), rows)
    at = rng.randrange(len(places))
    if at and rng.random() < 0.5:
        query = rng.choice(
            (
                f"How far is it from {places[at - 1]} to {places[at]} on this road, in km?",
                f"What distance lies between {places[at - 1]} and {places[at]}?",
            )
        )
        return reckoned(
            query, paths[0], shown.shot, f"{far[at]} - {far[at - 1]}", "the distances that OCR read"
        )
    speed = rng.choice((15, 18, 24, 50, 60, 80, 90, 110))
    query = rng.choice(
        (
            f"At {speed} km/h, how many minutes until we reach {places[at]}?",
            f"We do {speed} km/h on average. How many minutes are left to {places[at]}?",
        )
    )
    return reckoned(
        query,
        paths[0],
        shown.shot,
        f"{far[at]} / {speed} * 60",
        "the distance that OCR read and the query's speed",
    )


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
    shown = board(
        rng,
        "paper",
        f"{rng.choice(names.FIRST)}'s {dish}",
        [(name, f"{amount} {goods[name]}") for name, amount in amounts.items()],
        notes=[f"Serves {serves}", f"Bake {rng.randint(18, 45)} min at {rng.choice((170, 180, 200))} °C"],
    )
    name = rng.choice(sorted(amounts))
    query = rng.choice(
        (
            f"{guests} people are coming. How much {name.lower()} do I need?",
            f"I'm making this for {guests}: what amount of {name.lower()} ({goods[name]}) goes in?",
        )
    )
    return reckoned(
        query,
        paths[0],
        shown.shot,
        f"{amounts[name]} / {serves} * {guests}",
        "the amount and the servings that OCR read, and the query's guests",
    )


def mark_departure(rng: Random, paths: tuple[str, ...]) -> Draft:
    """For circle: the first departure after a given time."""
    ends, minutes = names.towns(rng, rng.randint(5, 7)), sorted(rng.sample(range(360, 1380), 7))
    rows = [
        (end, f"{at // 60:02d}:{at % 60:02d}", str(rng.randint(1, 19)))
        for end, at in zip(ends, minutes, strict=False)
    ]
    shown = board(rng, rng.choice(("led", "led", "paper")), "Departures", rows, ("To", "Time", "Platform"))
    at = rng.randrange(1, len(rows))
    now = rng.randint(minutes[at - 1], minutes[at] - 1)
    clock = f"{now // 60:02d}:{now % 60:02d}"
    place, _, platform = rows[at]
    query = rng.choice(
        (
            f"It is {clock}. Box the next one that leaves and note its platform on the box.",
            f"My taxi arrives at {clock}. Mark the first one I can catch then, with the platform as label.",
            f"Highlight the next departure after {clock} with a box; the label is the platform's number.",
        )
    )
    steps = (ocr(paths[0], shown.shot), draw_box(paths[0], shown.shot, shown.rows[place], platform))
    return Draft(query, (shown.shot,), steps)


def mark_row(rng: Random, paths: tuple[str, ...]) -> Draft:
    """For circle, without annotation: the highest or lowest of a day's readings."""
    what, unit = rng.choice(
        (("Visitors", ""), ("Rainfall", " mm"), ("Steps", ""), ("Sales", ""), ("Minutes read", ""))
    )
    numbers = rng.sample(range(12, 980), 7)
    shown = board(
        rng,
        "paper",
        f"{what}, week {rng.randint(2, 51)}",
        [(day, f"{number}{unit}") for day, number in zip(DAYS, numbers, strict=True)],
    )
    best = rng.random() < 0.5
    day = DAYS[numbers.index(max(numbers) if best else min(numbers))]
    goal = rng.choice(("highest", "largest", "biggest") if best else ("lowest", "smallest", "weakest"))
    query = rng.choice(
        (
            f"Draw a plain box around the day with the {goal} figure.",
            f"Which day had the {goal} number? Just frame that line, without any label.",
        )
    )
    steps = (ocr(paths[0], shown.shot), draw_box(paths[0], shown.shot, shown.rows[day]))
    return Draft(query, (shown.shot,), steps)
