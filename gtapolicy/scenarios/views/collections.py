"""Still lifes and crowds of like things: to count, to find and to describe."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from random import Random

from gtapolicy.pictures.camera import CameraView, frontal_view
from gtapolicy.pictures.canvas import Box, Canvas
from gtapolicy.pictures.objects import COLORS
from gtapolicy.pictures.settings import SETTINGS, place_objects
from gtapolicy.scenarios import names
from gtapolicy.scenarios.draft import Draft, calculate, count, describe, find, imagine, region, search
from gtapolicy.scenarios.goods import listed

PLURALS = {"vase": "vases", "glass": "glasses", "fir": "fir trees", "car": "cars", "gift": "gifts"}
WHERE = {
    "table": "on a table",
    "shelf": "on wall shelves",
    "sky": "in the sky above hills",
    "lake": "on a lake",
    "meadow": "on a meadow",
    "street": "along a street",
}
WORDS = "no one two three four five six seven eight nine ten eleven twelve".split()
PRICES = {
    "apple": (0.2, 0.9),
    "pear": (0.3, 0.9),
    "lemon": (0.3, 0.8),
    "egg": (0.2, 0.6),
    "cup": (4, 14),
    "glass": (3, 9),
    "bottle": (2, 11),
    "candle": (2, 9),
    "vase": (8, 40),
    "gift": (9, 30),
    "cupcake": (2, 5),
    "book": (6, 28),
    "ball": (4, 16),
    "balloon": (0.5, 2),
    "hot-air balloon": (180, 260),
    "kite": (9, 32),
    "sailboat": (30, 90),
    "duck": (1, 4),
    "tent": (18, 45),
    "umbrella": (6, 14),
    "car": (3, 12),
    "tree": (25, 90),
    "fir": (20, 70),
    "mushroom": (1, 3),
}


@dataclass(frozen=True, slots=True)
class Collection:
    setting: str
    things: tuple[tuple[str, str, Box], ...]
    """Name, hue, box in pixels of the picture."""
    shot: CameraView

    @property
    def counts(self) -> Counter[str]:
        return Counter(name for name, _, _ in self.things)

    def of(self, name: str) -> list[tuple[str, Box]]:
        return [(hue, box) for kind, hue, box in self.things if kind == name]

    @property
    def sentence(self) -> str:
        some = [plural(name) if n > 1 else f"one {name}" for name, n in sorted(self.counts.items())]
        return f"A picture of {listed(some)} {WHERE[self.setting]}."


def plural(name: str) -> str:
    return PLURALS.get(name, name + "s")


def collection(rng: Random, kinds: int = 2, most: int = 10, many: int = 2) -> Collection:
    """Things of some kinds, the first of them at least so many times."""
    setting = rng.choice([name for name, place in SETTINGS.items() if len(place.objects) >= kinds])
    place = SETTINGS[setting]
    canvas = Canvas(rng.choice((480, 540, 600)), rng.choice((340, 380, 420)))
    place.draw(canvas, rng)
    chosen = rng.sample(place.objects, kinds)
    total = rng.randint(max(4, many + kinds), most)
    bag = [chosen[0]] * many + chosen[1:]
    bag += rng.choices(chosen, k=total - len(bag))
    rng.shuffle(bag)
    hues = [hue for hue in COLORS if hue not in ("black", "brown", "green" if setting == "meadow" else "")]
    # Trees and lemons of any colour would be odd.
    fixed = {
        "tree": ("green",),
        "fir": ("green",),
        "lemon": ("yellow",),
        "egg": ("white",),
        "mushroom": ("red", "orange"),
        "duck": ("yellow", "white"),
        "apple": ("red", "green", "yellow"),
        "pear": ("green", "yellow"),
        "candle": ("white", "red", "yellow", "blue"),
        "bottle": ("green", "turquoise", "brown"),
    }
    painted = [(name, rng.choice(fixed.get(name, tuple(hues)))) for name in bag]
    things = place_objects(canvas, rng, place, painted)
    shot = frontal_view(canvas, rng)
    return Collection(setting, tuple((name, hue, shot.box(box)) for name, hue, box in things), shot)


def worth(rng: Random, paths: tuple[str, ...]) -> Draft:
    """For count_calc."""
    seen = collection(rng, rng.choice((1, 2, 3)), 12)
    name = rng.choice([thing for thing, number in seen.counts.items() if number > 1])
    number, many = seen.counts[name], plural(name)
    low, high = PRICES[name]
    price = f"{rng.uniform(low, high):.2f}"
    people = rng.randint(2, 6)
    query, expression = rng.choice(
        (
            (
                f"If each {name} costs {price}, what are all of them in the photo worth?",
                f"{number} * {price}",
            ),
            (
                f"I sell the {many} shown here for {price} apiece. What do I take if they all go?",
                f"{number} * {price}",
            ),
            (
                f"I want {people} times as many {many} as there are here. How many is that?",
                f"{number} * {people}",
            ),
            (
                f"{people * 12} {many} were ordered, these have come. How many are still missing?",
                f"{people * 12} - {number}",
            ),
        )
    )
    steps = (
        count(paths[0], name, number),
        calculate(expression, "the number counted and the query's numbers"),
    )
    return Draft(query, (seen.shot,), steps)


def share(rng: Random, paths: tuple[str, ...]) -> Draft:
    """For describe_count: which kind is meant takes the description."""
    seen = collection(rng, 1, 9, 4)
    name, number = next(iter(seen.counts.items()))
    factor = rng.randint(3, 12)
    query = rng.choice(
        (
            f"Whatever these things are, I need {factor} sets like this one. How many pieces must I order?",
            f"See what is shown here and count it. How many would that be on {factor} pictures like this?",
            f"{factor} shops each get a delivery as in this photo. How many items is that together?",
        )
    )
    steps = (
        describe(paths[0], f"A picture of several {plural(name)} {WHERE[seen.setting]}."),
        count(paths[0], name, number, "what the description says is shown"),
        calculate(f"{number} * {factor}", "the number counted and the query's number"),
    )
    return Draft(query, (seen.shot,), steps)


def looked_up(rng: Random, paths: tuple[str, ...]) -> Draft:
    """For count_search."""
    seen = collection(rng, 2, 9)
    name, number = rng.choice(sorted(seen.counts.items()))
    book = f"{names.town(rng)} Almanac"
    query = (
        f"In the {book} each number of {plural(name)} has a meaning. Which one belongs to as many as here?"
    )
    meaning = rng.choice(("a long journey", "good news by post", "rain within a week", "an unexpected guest"))
    results = (f"{book}: {number} {plural(name)} - whoever sees them together may expect {meaning}.",)
    looked = search(
        f"{book} meaning of {number} {plural(name)}",
        results,
        "the almanac in the query and the number counted",
    )
    return Draft(query, (seen.shot,), (count(paths[0], name, number), looked))


def redrawn(rng: Random, paths: tuple[str, ...]) -> Draft:
    """For count_imagine."""
    seen = collection(rng, 2, 8)
    name = rng.choice([thing for thing, number in seen.counts.items() if number > 1])
    number, style = (
        seen.counts[name],
        rng.choice(("watercolour", "pencil sketch", "paper collage", "woodcut")),
    )
    query = (
        f"Make a {style} with just as many {plural(name)} as there are in this picture, in the same place."
    )
    keywords = f"{style}, {WORDS[number]} {plural(name)}, {WHERE[seen.setting]}"
    steps = (
        describe(paths[0], seen.sentence),
        count(paths[0], name, number),
        imagine(paths[0], keywords, "the number counted, the place described, the style in the query"),
    )
    return Draft(query, (seen.shot,), steps)


def percentage(rng: Random, paths: tuple[str, ...]) -> Draft:
    """For percentage: three things of one kind, a region looked at for each."""
    seen = collection(rng, 2, 8, 3)
    while (
        seen.counts.most_common(1)[0][1] != 3
        or len({hue for hue, _ in seen.of(seen.counts.most_common(1)[0][0])}) == 1
    ):
        seen = collection(rng, 2, 8, 3)
    name = seen.counts.most_common(1)[0][0]
    things = seen.of(name)
    hue = rng.choice(things)[0]
    matching = sum(colour == hue for colour, _ in things)
    query = rng.choice(
        (
            f"What percentage of the {plural(name)} in this picture is {hue}?",
            f"Look at each {name} here: how many percent of them are {hue}?",
        )
    )
    looks = [
        region(paths[0], box, "color", colour, f"the box number {number}")
        for number, (colour, box) in enumerate(things, 1)
    ]
    steps = (
        find(paths[0], name, [box for _, box in things]),
        *looks,
        calculate(f"{matching} / 3 * 100", f"how many of the three boxes are {hue}"),
    )
    return Draft(query, (seen.shot,), steps)


def colour_of(rng: Random, paths: tuple[str, ...]) -> Draft:
    """For region: something that is there only once."""
    seen = collection(rng, 3, 7, 1)
    while 1 not in seen.counts.values():
        seen = collection(rng, 3, 7, 1)
    name = rng.choice([thing for thing, number in seen.counts.items() if number == 1])
    ((hue, box),) = seen.of(name)
    beside = [kind for kind in seen.counts if kind != name]
    query = rng.choice(
        (
            f"Can you tell me what colour the {name} is?",
            f"There are {listed([plural(kind) for kind in beside])} and a {name}. What colour is the latter?",
            f"I want to buy paint to match the {name} in this picture. What colour do I ask for?",
            f"My little brother asks what colour the {name} here has.",
        )
    )
    steps = (find(paths[0], name, [box]), region(paths[0], box, "color", hue))
    return Draft(query, (seen.shot,), steps)
