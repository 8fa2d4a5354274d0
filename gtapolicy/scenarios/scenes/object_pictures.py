"""Pictures of several objects, for queries that count, find or describe them."""

from collections import Counter
from dataclasses import dataclass
from random import Random

from gtapolicy.pictures.camera import CameraView, frontal_view
from gtapolicy.pictures.canvas import Canvas
from gtapolicy.pictures.objects import COLORS
from gtapolicy.pictures.pen import Box
from gtapolicy.pictures.settings import SETTINGS, PlacedObject, place_objects
from gtapolicy.policy.wording import enumeration
from gtapolicy.scenarios import names
from gtapolicy.scenarios.calls import calculate, count, describe, find, imagine, region, search
from gtapolicy.scenarios.data import calculation, load, phrase
from gtapolicy.scenarios.draft import Draft
from gtapolicy.scenarios.goods import PriceRange
from gtapolicy.scenarios.names import plural

PRICES = load("goods.toml", "objects", dict[str, PriceRange])
WHERE = load("scenes/scenes.toml", "settings", dict[str, str])
OBJECT_COLORS = load("scenes/scenes.toml", "object_colors", dict[str, list[str]])


@dataclass(frozen=True, slots=True)
class ObjectPicture:
    # A phrase that says where the objects are.
    where: str
    objects: tuple[PlacedObject, ...]
    view: CameraView

    @property
    def counts(self) -> Counter[str]:
        """The number of objects of each name."""
        return Counter(placed.name for placed in self.objects)

    def boxes(self, name: str) -> list[tuple[str, Box]]:
        """The color and the box, in pixels of the picture, of each object of this name."""
        return [(placed.color, self.view.box(placed.box)) for placed in self.objects if placed.name == name]

    @property
    def sentence(self) -> str:
        numbers = sorted(self.counts.items())
        nouns = [plural(name) if number > 1 else f"one {name}" for name, number in numbers]
        return f"A picture of {enumeration(nouns)} {self.where}."


def object_picture(rng: Random, kinds: int = 2, most: int = 10, least_of_first: int = 2) -> ObjectPicture:
    """A picture of at most `most` objects of `kinds` kinds, at least `least_of_first` of the first kind."""
    name = rng.choice([name for name, setting in SETTINGS.items() if len(setting.objects) >= kinds])
    setting = SETTINGS[name]
    canvas = Canvas(rng.choice((480, 540, 600)), rng.choice((340, 380, 420)))
    setting.draw(canvas, rng)
    chosen = rng.sample(setting.objects, kinds)
    total = rng.randint(max(4, least_of_first + kinds), most)
    # The required objects first, then any of the chosen kinds.
    objects = [chosen[0]] * least_of_first + chosen[1:]
    objects += rng.choices(chosen, k=total - len(objects))
    rng.shuffle(objects)
    # Green objects would be hard to see on a meadow.
    excluded = ("black", "brown", "green" if name == "meadow" else "")
    colors = [color for color in COLORS if color not in excluded]
    colored = [(kind, rng.choice(OBJECT_COLORS.get(kind, colors))) for kind in objects]
    placed = place_objects(canvas, rng, setting, colored)
    return ObjectPicture(WHERE[name], tuple(placed), frontal_view(canvas, rng))


def _repeated_object(rng: Random, shown: ObjectPicture) -> tuple[str, int]:
    """A name that several objects have, and their number."""
    name = rng.choice([name for name, number in shown.counts.items() if number > 1])
    return name, shown.counts[name]


def calculate_with_count(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family count_calc: what the objects cost, or another number of them."""
    shown = object_picture(rng, rng.choice((1, 2, 3)), 12)
    name, number = _repeated_object(rng, shown)
    price, times = f"{rng.uniform(*PRICES[name]):.2f}", rng.randint(2, 6)
    values = {"name": name, "plural": plural(name), "number": number, "price": price}
    query, expression = calculation(rng, "count", **values, times=times, ordered=times * 12)
    calculated = calculate(expression, "the number counted and the query's numbers")
    return Draft(query, (shown.view,), (count(paths[0], name, number), calculated))


def count_described(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family describe_count: only the description says which objects to count."""
    shown = object_picture(rng, 1, 9, 4)
    ((name, number),) = shown.counts.items()
    factor = rng.randint(3, 12)
    query = phrase(rng, "count_described", factor=factor)
    steps = (
        describe(paths[0], f"A picture of several {plural(name)} {shown.where}.", "unnamed"),
        count(paths[0], name, number, "unnamed", "what the description says is shown"),
        calculate(f"{number} * {factor}", "the number counted and the query's number"),
    )
    return Draft(query, (shown.view,), steps)


def look_up_count(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family count_search: the meaning of the number of objects, according to an almanac."""
    shown = object_picture(rng, 2, 9)
    name, number = rng.choice(sorted(shown.counts.items()))
    book, many = f"{names.town(rng)} Almanac", plural(name)
    query = phrase(rng, "look_up_count", book=book, many=many)
    meaning = rng.choice(("a long journey", "good news by post", "rain within a week", "an unexpected guest"))
    result = f"{book}: {number} {many} - whoever sees them together may expect {meaning}."
    origin = "the almanac in the query and the number counted"
    found = search(f"{book} meaning of {number} {many}", (result,), origin, "search-count")
    return Draft(query, (shown.view,), (count(paths[0], name, number, "search-count"), found))


def redraw_count(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family count_imagine: a new picture with the same number of objects."""
    shown = object_picture(rng, 2, 8)
    name, number = _repeated_object(rng, shown)
    style, many = rng.choice(("watercolor", "pencil sketch", "paper collage", "woodcut")), plural(name)
    query = phrase(rng, "redraw_count", style=style, many=many)
    keywords, origin = f"{style}, {number} {many}", "the style in the query, and the number counted"
    steps = (
        describe(paths[0], shown.sentence, "new-image"),
        count(paths[0], name, number, "new-count"),
        imagine(paths[0], keywords, origin, "new-count"),
    )
    return Draft(query, (shown.view,), steps)


def color_percentage(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family percentage: the share of one color among three objects of one kind that differ in color."""
    while True:
        shown = object_picture(rng, 2, 8, 3)
        ((name, number),) = shown.counts.most_common(1)
        objects = shown.boxes(name)
        if number == 3 and len({color for color, _ in objects}) > 1:
            break
    wanted = rng.choice(objects)[0]
    matching = sum(color == wanted for color, _ in objects)
    query = phrase(rng, "color_percentage", plural=plural(name), name=name, color=wanted)
    regions = [
        region(paths[0], box, "color", color, "regions", f"the box number {at}")
        for at, (color, box) in enumerate(objects, 1)
    ]
    steps = (
        find(paths[0], name, [box for _, box in objects], "nouns"),
        *regions,
        calculate(f"{matching} / 3 * 100", f"how many of the three boxes are {wanted}"),
    )
    return Draft(query, (shown.view,), steps)


def color_of_single(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family region: the color of the only object of its kind."""
    shown = object_picture(rng, 3, 7, 1)
    while 1 not in shown.counts.values():
        shown = object_picture(rng, 3, 7, 1)
    name = rng.choice([name for name, number in shown.counts.items() if number == 1])
    ((color, box),) = shown.boxes(name)
    others = enumeration([plural(kind) for kind in shown.counts if kind != name])
    query = phrase(rng, "color_of_single", name=name, others=others)
    return Draft(query, (shown.view,), (find(paths[0], name, [box]), region(paths[0], box, "color", color)))
