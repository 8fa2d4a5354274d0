"""Boards with numbers other than prices: timetables, labels, hours, scores, distances, recipes."""

from random import Random

from gtapolicy.scenarios import names
from gtapolicy.scenarios.data import load, phrase
from gtapolicy.scenarios.documents.boards import board
from gtapolicy.scenarios.draft import Draft, read_and_box, read_and_calculate
from gtapolicy.scenarios.goods import PriceRange

NUTRIENTS = load("goods.toml", "nutrients", dict[str, PriceRange])
INGREDIENTS = load("goods.toml", "ingredients", dict[str, str])
CLUBS = ("Rovers", "United", "Falcons", "Wanderers", "Hornets", "Otters", "Lynx", "Comets")


def _clock(minutes: int) -> str:
    """A time given in minutes after midnight."""
    return f"{minutes // 60:02d}:{minutes % 60:02d}"


def journey(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family ocr_calc: the minutes between two stops."""
    stops, time, times = names.towns(rng, rng.randint(5, 7)), rng.randint(360, 1080), []
    for _ in stops:
        times.append(time)
        time += rng.randint(7, 58)
    rows = [(stop, _clock(time)) for stop, time in zip(stops, times, strict=True)]
    kind = rng.choice(("led", "paper", "enamel"))
    line = f"{rng.choice(('Line', 'Bus', 'Train', 'Ferry'))} {rng.randint(2, 97)}"
    timetable = board(rng, kind, f"{line} to {stops[-1]}", rows, ("Stop", "Time"))
    start, end = sorted(rng.sample(range(len(stops)), 2))
    query = phrase(rng, "journey", start=stops[start], end=stops[end])
    (hour, minute), (later_hour, later_minute) = divmod(times[start], 60), divmod(times[end], 60)
    expression = f"({later_hour} * 60 + {later_minute}) - ({hour} * 60 + {minute})"
    origin = "the two times that OCR read, in minutes"
    return read_and_calculate(query, paths[0], timetable.view, expression, origin)


def nutrition_label(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family ocr_calc: what a serving contains."""
    grams_per_100 = {name: f"{rng.uniform(low, high):.1f}" for name, (low, high) in NUTRIENTS.items()}
    energy = rng.randint(180, 560)
    rows = [("Energy", f"{energy} kcal"), *((name, f"{grams} g") for name, grams in grams_per_100.items())]
    title = f"{names.brand(rng)} {rng.choice(('Muesli', 'Crackers', 'Oat Bars', 'Granola'))}"
    package = board(rng, "paper", title, rows, ("Nutrition", "per 100 g"))
    name = rng.choice(["energy", *grams_per_100])
    grams = rng.choice((30, 40, 45, 60, 75, 80, 125, 150, 250))
    quantity, per_100 = "kcal", str(energy)
    if name != "energy":
        quantity, per_100 = f"grams of {name.lower()}", grams_per_100[name]
    query = phrase(rng, "nutrition_label", quantity=quantity, grams=grams)
    expression = f"{per_100} * {grams} / 100"
    origin = "the value per 100 g that OCR read, and the query's grams"
    return read_and_calculate(query, paths[0], package.view, expression, origin)


def weekly_pay(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family ocr_calc: the pay for a week."""
    days = names.WEEKDAYS[: rng.randint(4, 6)]
    worked = {day: f"{rng.randint(7, 19) / 2:g}" for day in days}
    rows = [(day, f"{time} h") for day, time in worked.items()]
    person, wage = names.person(rng), rng.randint(26, 62) / 2
    sheet = board(rng, "paper", f"Hours: {person}", rows, notes=[f"Week of {names.date(rng)}"])
    query = phrase(rng, "weekly_pay", wage=wage, person=person)
    expression = f"({' + '.join(worked.values())}) * {wage:.2f}"
    origin = "the hours that OCR read, times the query's wage"
    return read_and_calculate(query, paths[0], sheet.view, expression, origin)


def league(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family ocr_calc: a team's points, or its share of wins."""
    teams = [f"{town} {rng.choice(CLUBS)}" for town in names.towns(rng, rng.randint(4, 6))]
    results = [(team, rng.randint(1, 12), rng.randint(0, 8), rng.randint(0, 9)) for team in teams]
    # Sorted by points, as in a real league table.
    results.sort(key=lambda row: -(3 * row[1] + row[2]))
    kind, title = rng.choice(("led", "paper")), f"{names.town(rng)} League"
    rows = [(team, str(won), str(drawn), str(lost)) for team, won, drawn, lost in results]
    table = board(rng, kind, title, rows, ("Team", "Won", "Drawn", "Lost"))
    team, won, drawn, lost = rng.choice(results)
    ask_points = rng.random() < 0.5
    query = phrase(rng, "league_points" if ask_points else "league_wins", team=team)
    share = f"{won} / ({won} + {drawn} + {lost}) * 100"
    expression = f"3 * {won} + {drawn}" if ask_points else share
    origin = "the row of that team that OCR read"
    return read_and_calculate(query, paths[0], table.view, expression, origin)


def distances(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family ocr_calc: the distance between two places, or the minutes to one place."""
    places = names.towns(rng, rng.randint(3, 5))
    km = sorted(rng.sample(range(6, 240), len(places)))
    rows = [(place, f"{distance} km") for place, distance in zip(places, km, strict=True)]
    sign = board(rng, "enamel", rng.choice(("Motorway", f"A{rng.randint(2, 98)}", "Route")), rows)
    at = rng.randrange(len(places))
    if at and rng.random() < 0.5:
        query = phrase(rng, "distance", start=places[at - 1], end=places[at])
        expression, origin = f"{km[at]} - {km[at - 1]}", "the distances that OCR read"
    else:
        speed = rng.choice((15, 18, 24, 50, 60, 80, 90, 110))
        query = phrase(rng, "driving_time", speed=speed, place=places[at])
        expression = f"{km[at]} / {speed} * 60"
        origin = "the distance that OCR read and the query's speed"
    return read_and_calculate(query, paths[0], sign.view, expression, origin)


def recipe(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family ocr_calc: an amount for another number of guests."""
    serves, guests = rng.choice(((4, 10), (2, 5), (6, 9), (3, 7), (4, 14), (8, 20)))
    chosen = rng.sample(sorted(INGREDIENTS), rng.randint(4, 6))
    amounts = {name: rng.randint(4, 50) * 10 for name in chosen}
    dish = rng.choice(("Pancakes", "Crumble", "Sponge Cake", "Waffles", "Porridge Slices", "Brownies"))
    title = f"{names.first_name(rng)}'s {dish}"
    rows = [(name, f"{amount} {INGREDIENTS[name]}") for name, amount in amounts.items()]
    baking = f"Bake {rng.randint(18, 45)} min at {rng.choice((170, 180, 200))} °C"
    card = board(rng, "paper", title, rows, notes=[f"Serves {serves}", baking])
    name = rng.choice(sorted(amounts))
    query = phrase(rng, "recipe", guests=guests, ingredient=name.lower(), unit=INGREDIENTS[name])
    expression = f"{amounts[name]} / {serves} * {guests}"
    origin = "the amount and the servings that OCR read, and the query's guests"
    return read_and_calculate(query, paths[0], card.view, expression, origin)


def mark_departure(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family circle: the first departure after a given time."""
    towns, times = names.towns(rng, rng.randint(5, 7)), sorted(rng.sample(range(360, 1380, 3), 7))
    rows = [(town, _clock(time), str(rng.randint(1, 19))) for town, time in zip(towns, times, strict=False)]
    kind = rng.choice(("led", "led", "paper"))
    departures = board(rng, kind, "Departures", rows, ("To", "Time", "Platform"))
    at = rng.randrange(1, len(rows))
    now = _clock(rng.randint(times[at - 1] + 1, times[at] - 1))
    town, _, platform = rows[at]
    query = phrase(rng, "mark_departure", now=now)
    return read_and_box(query, paths[0], departures.view, departures.rows[town], platform)


def mark_day(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family circle, without annotation: the highest or lowest number of a week."""
    subjects = ("Visitors", ""), ("Rainfall", " mm"), ("Steps", ""), ("Sales", ""), ("Minutes read", "")
    subject, unit = rng.choice(subjects)
    numbers = rng.sample(range(12, 980), 7)
    title = f"{subject}, week {rng.randint(2, 51)}"
    rows = [(day, f"{number}{unit}") for day, number in zip(names.WEEKDAYS, numbers, strict=True)]
    sheet = board(rng, "paper", title, rows)
    highest = rng.random() < 0.5
    day = names.WEEKDAYS[numbers.index(max(numbers) if highest else min(numbers))]
    rank = rng.choice(("highest", "largest", "biggest") if highest else ("lowest", "smallest", "weakest"))
    return read_and_box(phrase(rng, "mark_day", rank=rank), paths[0], sheet.view, sheet.rows[day])
