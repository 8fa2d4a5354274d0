"""Invented named entities (books, shops, plaques, posters, tins), and what a search finds about them.

One function per kind draws the picture and chooses the values for the {fields} in entities.toml.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from random import Random

from gtapolicy.pictures.camera import CameraView, frontal_view, tilted_view
from gtapolicy.pictures.canvas import Canvas, font
from gtapolicy.pictures.objects import COLORS, OBJECTS, draw_object
from gtapolicy.pictures.pen import Box
from gtapolicy.pictures.settings import SKIES, draw_cloud, draw_hills, draw_sky, draw_surface
from gtapolicy.pictures.surfaces import DESKS, WALLS
from gtapolicy.scenarios import names
from gtapolicy.scenarios.data import load, load_filled

EVENTS = load("words.toml", "events", list[str])
RANGES = load("searches/entities.toml", "ranges", dict[str, dict[str, tuple[int, int]]])


@dataclass(frozen=True, slots=True)
class Fact:
    """A question with one answer, the words to search for, and the result that has the answer."""

    question: str
    search: str
    result: str
    # Queries that calculate with the number in the result, each with its expression.
    calculations: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class EntityTexts:
    # Describes the picture.
    sentence: str
    facts: tuple[Fact, ...]
    open_question: str
    open_search: str
    # The results of the open search.
    reviews: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Entity:
    texts: EntityTexts
    view: CameraView


def _numbers(rng: Random, kind: str, *chosen: str) -> dict[str, int]:
    """Random numbers from the ranges of a kind in entities.toml: the chosen ones, or all."""
    ranges = RANGES[kind]
    return {name: rng.randint(*ranges[name]) for name in chosen or ranges}


def _entity(kind: str, values: Mapping[str, object], view: CameraView) -> Entity:
    return Entity(load_filled("searches/entities.toml", kind, EntityTexts, values), view)


def _wrapped(text: str, size: float, face: str, width: float) -> list[str]:
    """The text split at spaces into lines of at most this width."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font(face, size).getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def _fitting(text: str, large: float, small: float, width: float) -> float:
    """The large font size if the text then fits into the width, else the small size."""
    return large if font("serif bold", large).getlength(text) < width else small


def book(rng: Random) -> Entity:
    author = names.person(rng)
    title = f"{names.shop(rng)} of {names.town(rng)}"
    cover = rng.choice(("#27425f", "#6b2737", "#2f5d50", "#c98f2b", "#54406b", "#b8503a", "#22252b"))
    canvas = Canvas(300, 420, cover)
    canvas.gradient(0, 0, 300, 420, cover, "#1a1a1e")
    motif = rng.choice(("sailboat", "fir", "hot-air balloon", "house", "candle", "vase", "duck"))
    color = rng.choice(sorted(COLORS))
    canvas.disc(150, 262, 92, "#f3e6c530")
    draw_object(canvas, motif, 150, 330, 120 if OBJECTS[motif].aspect < 1.2 else 90, color)
    for number, line in enumerate(_wrapped(title, 28, "serif bold", 260)):
        canvas.text(150, 46 + 36 * number, line, 28, "#f6ecd2", "serif bold", "mm")
    canvas.text(150, 386, author, 20, "#f6ecd2", "serif italic", "mm")
    canvas.rect(0, 0, 8, 420, "#00000040")
    words = {"title": title, "author": author, "motif": motif}
    values = {**words, **_numbers(rng, "book"), "radio_town": names.town(rng)}
    return _entity("book", values, tilted_view(canvas, rng.choice(DESKS), rng))


def shop(rng: Random) -> Entity:
    name = names.shop(rng)
    trade = rng.choice(
        ("Bakery", "Bookshop", "Tea Room", "Cheese Shop", "Toy Shop", "Florist", "Hardware Store")
    )
    canvas = Canvas(520, 390)
    draw_surface(canvas, Box(0, 0, 520, 340), rng.choice(WALLS), rng)
    draw_surface(canvas, Box(0, 340, 520, 390), "concrete", rng)
    color = rng.choice(("red", "green", "blue", "orange", "purple", "turquoise"))
    canvas.rect(40, 110, 480, 342, "#e9dfcc", outline="#4a3a2c", outline_width=4)
    canvas.rect(40, 42, 480, 108, COLORS[color], outline="#3b2f25", outline_width=3, shade="fade")
    canvas.text(260, 66, name, _fitting(name, 34, 27, 400), "#fbf3dc", "serif bold", "mm")
    canvas.text(260, 94, trade, 18, "#fbf3dc", "serif italic", "mm")
    for stripe in range(11):
        x = 40 + stripe * 40
        awning = [(x, 110), (x + 40, 110), (x + 44, 146), (x - 4, 146)]
        canvas.polygon(awning, COLORS[color] if stripe % 2 else "#f6f1e4", "fade")
    canvas.rect(62, 160, 330, 300, "#8fb0bd", outline="#4a3a2c", outline_width=5)
    canvas.polygon([(70, 296), (150, 164), (210, 164), (130, 296)], "#ffffff30")
    goods = rng.choice(("cupcake", "book", "vase", "gift", "bottle", "cup"))
    for number in range(4):
        goods_color = rng.choice(("red", "blue", "yellow", "pink", "white", "green"))
        draw_object(canvas, goods, 100 + number * 64, 296, 58, goods_color)
    canvas.rect(360, 160, 452, 342, "#6a4428", outline="#3b2618", outline_width=4, shade="cylinder")
    canvas.rect(374, 174, 438, 260, "#a8c3cc", outline="#3b2618", outline_width=3)
    canvas.disc(442, 270, 5, "#e3c46a", "sphere")
    words = {"name": name, "trade": trade, "a_trade": trade.lower(), "color": color}
    numbers = _numbers(rng, "shop", "year", "employees")
    words["town"] = names.town(rng)
    numbers |= _numbers(rng, "shop", "now", "shifts")
    values = {**words, **numbers, "owner": names.person(rng)}
    return _entity("shop", values, frontal_view(canvas, rng))


def plaque(rng: Random) -> Entity:
    person = names.person(rng)
    craft = rng.choice(("glassblower", "clockmaker", "botanist", "bridge builder", "painter", "cartographer"))
    born, town = rng.randint(1702, 1890), names.town(rng)
    died, works = born + rng.randint(48, 90), rng.randint(12, 240)
    canvas = Canvas(400, 270, None)
    metal = rng.choice(("#8a6b3c", "#5f6a6d", "#3e5a50", "#274a7c"))
    canvas.rect(0, 0, 399, 269, metal, outline="#e8d9ae", outline_width=4, radius=12)
    canvas.rect(10, 10, 389, 259, "", outline="#e8d9ae", outline_width=2, radius=8)
    for x, y in ((24, 24), (376, 24), (24, 246), (376, 246)):
        canvas.disc(x, y, 6, "#d9c48e", "sphere")
    deed = rng.choice(("lived here", "worked in this house", "was born here"))
    canvas.text(200, 70, person, 32 if len(person) < 18 else 27, "#f6ecd0", "serif bold", "mm")
    canvas.text(200, 112, craft, 22, "#f6ecd0", "serif italic", "mm")
    canvas.text(200, 158, deed, 20, "#f6ecd0", "serif", "mm")
    canvas.text(200, 206, f"Town of {town}", 18, "#f6ecd0", "serif", "mm")
    words = {"person": person, "craft": craft, "town": town}
    values = {**words, "born": born, "died": died, "works": works, **_numbers(rng, "plaque")}
    return _entity("plaque", values, tilted_view(canvas, rng.choice(WALLS), rng, 0.16))


def poster(rng: Random) -> Entity:
    event = rng.choice(EVENTS)
    town, day = names.town(rng), names.date(rng)
    canvas = Canvas(330, 450)
    draw_sky(canvas, rng.choice(sorted(SKIES)), 450)
    draw_cloud(canvas, 80, 150, 38)
    draw_cloud(canvas, 260, 120, 30)
    draw_hills(canvas, rng, 400, 60, rng.choice(("#3f5f57", "#4f4a6a", "#6b4a3a")))
    motif = rng.choice(("kite", "balloon", "hot-air balloon", "sailboat", "umbrella"))
    for x, y, height in ((90, 300, 105), (236, 330, 120), (166, 250, 80)):
        color = rng.choice(("red", "yellow", "blue", "pink", "orange"))
        draw_object(canvas, motif, x, y, height, color)
    canvas.rect(0, 0, 330, 92, "#1d2433d8")
    canvas.text(165, 32, town.upper(), 30, "#ffffff", "bold", "mm")
    canvas.text(165, 68, event, 26, "#ffd86b", "serif bold", "mm")
    canvas.rect(0, 400, 330, 450, "#1d2433d8")
    canvas.text(165, 425, day, 22, "#ffffff", "bold", "mm")
    words = {"name": f"{town} {event}", "day": day, "motif": motif}
    values = {**words, **_numbers(rng, "poster"), "opener": names.person(rng)}
    return _entity("poster", values, tilted_view(canvas, rng.choice(WALLS), rng))


def tin(rng: Random) -> Entity:
    brand = names.brand(rng)
    kind = rng.choice(("Green Tea", "Cocoa", "Roast Coffee", "Chai", "Rooibos", "Herbal Tea"))
    canvas = Canvas(430, 400)
    canvas.gradient(0, 0, 430, 400, "#d8d2c6", "#b8b0a2")
    draw_surface(canvas, Box(0, 300, 430, 400), rng.choice(("oak", "walnut", "marble")), rng)
    color = rng.choice(("#2f6b4f", "#7b2d2d", "#27466b", "#6a4a8a", "#b5762a", "#23262b"))
    canvas.shadow(90, 340, 372, 376, 0.5)
    canvas.rect(100, 66, 330, 356, color, radius=16, shade="cylinder")
    canvas.rect(92, 44, 338, 82, "#b9b4a6", radius=10, shade="cylinder")
    canvas.rect(100, 136, 330, 286, "#f3e9d0", shade="cylinder")
    canvas.text(215, 176, brand, _fitting(brand, 40, 30, 200), "#3a2a1c", "serif bold", "mm")
    canvas.text(215, 216, kind, 24, "#7a4a24", "serif italic", "mm")
    grams = rng.choice((100, 125, 200, 250))
    canvas.text(215, 256, f"{grams} g", 20, "#3a2a1c", "serif", "mm")
    values = {"brand": brand, "kind": kind, "a_kind": kind.lower(), "grams": grams, **_numbers(rng, "tin")}
    return _entity("tin", values, frontal_view(canvas, rng))


ENTITIES: tuple[Callable[[Random], Entity], ...] = (book, shop, plaque, poster, tin)
