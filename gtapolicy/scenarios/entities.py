"""Invented things that have a name: shops, plaques, books, posters, tins; and what a search finds of them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from gtapolicy.pictures.camera import CameraView, frontal_view, tilted_view
from gtapolicy.pictures.canvas import Box, Canvas, font
from gtapolicy.pictures.objects import COLORS, OBJECTS, draw_object
from gtapolicy.pictures.settings import SKIES, draw_cloud, draw_hills, draw_surface
from gtapolicy.pictures.surfaces import DESKS, WALLS
from gtapolicy.scenarios import names


@dataclass(frozen=True, slots=True)
class Fact:
    """A question with one answer, the words to search for, and what is found."""

    question: str
    search: str
    found: str
    reckon: tuple[tuple[str, str], ...]
    """Questions and expressions about the number that is found."""


@dataclass(frozen=True, slots=True)
class Entity:
    name: str
    sentence: str
    shot: CameraView
    facts: tuple[Fact, ...]
    open_question: str
    open_search: str
    reviews: tuple[str, ...]


def wrapped(text: str, size: float, face: str, width: float) -> list[str]:
    """Broken at spaces to fit."""
    lines: list[str] = []
    for word in text.split():
        longer = f"{lines[-1]} {word}" if lines else word
        if lines and font(face, size).getlength(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(word)
    return lines


def book(rng: Random) -> Entity:
    author = names.person(rng)
    title = f"The {rng.choice(names.ADJECTIVES)} {rng.choice(names.NOUNS)} of {names.town(rng)}"
    hue = rng.choice(("#27425f", "#6b2737", "#2f5d50", "#c98f2b", "#54406b", "#b8503a", "#22252b"))
    canvas = Canvas(300, 420, hue)
    canvas.gradient(0, 0, 300, 420, hue, "#1a1a1e")
    motif, colour = (
        rng.choice(("sailboat", "fir", "hot-air balloon", "house", "candle", "vase", "duck")),
        rng.choice(sorted(COLORS)),
    )
    canvas.disc(150, 262, 92, "#f3e6c530")
    draw_object(canvas, motif, 150, 330, 120 if OBJECTS[motif].aspect < 1.2 else 90, COLORS[colour])
    y = 46.0
    for line in wrapped(title, 28, "serif bold", 260):
        canvas.text(150, y, line, 28, "#f6ecd2", "serif bold", "mm")
        y += 36
    canvas.text(150, 386, author, 20, "#f6ecd2", "serif italic", "mm")
    canvas.rect(0, 0, 8, 420, "#00000040")
    year, pages = rng.randint(1921, 2019), rng.randint(140, 720)
    per_day, now = rng.randint(12, 45), rng.randint(2022, 2026)
    facts = (
        Fact(
            "In which year did this come out?",
            f"{title} {author} year of publication",
            f"{title}, a novel by {author}, was first published in {year}.",
            ((f"How old was this book in {now}, counted from its first edition?", f"{now} - {year}"),),
        ),
        Fact(
            "How many pages has it got?",
            f"{title} {author} number of pages",
            f"{title} by {author}: hardcover, {pages} pages.",
            (
                (
                    f"Reading {per_day} pages a day, after how many days would I have finished this?",
                    f"{pages} / {per_day}",
                ),
            ),
        ),
    )
    reviews = (
        f"Review: {title} is slow at first, then impossible to put down.",
        f"Readers praise the landscapes in {author}'s novel; some find it too long.",
        f"{title} was read on the radio of {names.town(rng)} in twelve parts.",
        f"An interview with {author} about fog, patience and ships.",
    )
    return Entity(
        title,
        f"The cover of a book called {title} by {author}, with a {motif} on it.",
        tilted_view(canvas, rng.choice(DESKS), rng),
        facts,
        "Do people like this? I wonder whether to read it.",
        f"{title} {author} reviews",
        reviews,
    )


def shopfront(rng: Random) -> Entity:
    name, trade = (
        names.shop(rng),
        rng.choice(("Bakery", "Bookshop", "Tea Room", "Cheese Shop", "Toy Shop", "Florist", "Hardware")),
    )
    canvas = Canvas(520, 390)
    draw_surface(canvas, Box(0, 0, 520, 340), rng.choice(WALLS), rng)
    draw_surface(canvas, Box(0, 340, 520, 390), "concrete", rng)
    hue = rng.choice(("red", "green", "blue", "orange", "purple", "turquoise"))
    canvas.rect(40, 110, 480, 342, "#e9dfcc", "#4a3a2c", 4)
    size = 34 if font("serif bold", 34).getlength(name) < 400 else 27
    canvas.rect(40, 42, 480, 108, COLORS[hue], "#3b2f25", 3, shade="fade")
    canvas.text(260, 66, name, size, "#fbf3dc", "serif bold", "mm")
    canvas.text(260, 94, trade, 18, "#fbf3dc", "serif italic", "mm")
    for at in range(11):
        canvas.polygon(
            [(40 + at * 40, 110), (80 + at * 40, 110), (84 + at * 40, 146), (36 + at * 40, 146)],
            COLORS[hue] if at % 2 else "#f6f1e4",
            "fade",
        )
    canvas.rect(62, 160, 330, 300, "#8fb0bd", "#4a3a2c", 5)
    canvas.polygon([(70, 296), (150, 164), (210, 164), (130, 296)], "#ffffff30")
    goods = rng.choice(("cupcake", "book", "vase", "gift", "bottle", "cup"))
    for at in range(4):
        draw_object(
            canvas,
            goods,
            100 + at * 64,
            296,
            58,
            COLORS[rng.choice(("red", "blue", "yellow", "pink", "white", "green"))],
        )
    canvas.rect(360, 160, 452, 342, "#6a4428", "#3b2618", 4, shade="cylinder")
    canvas.rect(374, 174, 438, 260, "#a8c3cc", "#3b2618", 3)
    canvas.disc(442, 270, 5, "#e3c46a", "sphere")
    year, seats, town = rng.randint(1848, 1999), rng.randint(14, 68), names.town(rng)
    now, groups = rng.randint(2022, 2026), rng.randint(2, 6)
    facts = (
        Fact(
            "Since when does this place exist?",
            f"{name} {trade} founding year",
            f"{name} is a {trade.lower()} in {town}, founded in {year}.",
            ((f"How many years had this place been open in {now}?", f"{now} - {year}"),),
        ),
        Fact(
            "How many people work there?",
            f"{name} {trade} number of employees",
            f"{name}, {trade.lower()} in {town}: {seats} employees.",
            (
                (
                    f"If the people who work here form {groups} equal shifts, how many are in each?",
                    f"{seats} / {groups}",
                ),
            ),
        ),
    )
    reviews = (
        f"{name} in {town}: friendly, a little slow, worth the queue.",
        f"The owner of {name}, {names.person(rng)}, tells its story.",
        f"What to bring home from {name}: five tips.",
        f"{trade}s of {town} compared: {name} comes second.",
    )
    return Entity(
        name,
        f"The front of a {trade.lower()} with a {hue} sign that says {name}.",
        frontal_view(canvas, rng),
        facts,
        "Is it worth a visit? What do others say about this place?",
        f"{name} {trade} reviews",
        reviews,
    )


def plaque(rng: Random) -> Entity:
    person, craft = (
        names.person(rng),
        rng.choice(("glassblower", "clockmaker", "botanist", "bridge builder", "painter", "cartographer")),
    )
    born, town = rng.randint(1702, 1890), names.town(rng)
    died, works = born + rng.randint(48, 90), rng.randint(12, 240)
    canvas = Canvas(400, 270, None)
    metal = rng.choice(("#8a6b3c", "#5f6a6d", "#3e5a50", "#274a7c"))
    canvas.rect(0, 0, 399, 269, metal, "#e8d9ae", 4, 12, shade="flat")
    canvas.rect(10, 10, 389, 259, None, "#e8d9ae", 2, 8)
    for x, y in ((24, 24), (376, 24), (24, 246), (376, 246)):
        canvas.disc(x, y, 6, "#d9c48e", "sphere")
    verb = rng.choice(("lived here", "worked in this house", "was born here"))
    canvas.text(200, 70, person, 32 if len(person) < 18 else 27, "#f6ecd0", "serif bold", "mm")
    canvas.text(200, 112, craft, 22, "#f6ecd0", "serif italic", "mm")
    canvas.text(200, 158, f"{verb}", 20, "#f6ecd0", "serif", "mm")
    canvas.text(200, 206, f"Town of {town}", 18, "#f6ecd0", "serif", "mm")
    now, a_day = rng.randint(2022, 2026), rng.randint(3, 9)
    facts = (
        Fact(
            "When was this person born?",
            f"{person} {craft} year of birth",
            f"{person} ({born}-{died}), {craft} from {town}.",
            ((f"How many years before {now} was this person born?", f"{now} - {born}"),),
        ),
        Fact(
            "How many works did the person honoured here leave?",
            f"{person} {craft} number of works",
            f"The archive of {town} lists {works} works by {person}.",
            (
                (
                    f"If I saw {a_day} of this person's works a day, how many days would all take?",
                    f"{works} / {a_day}",
                ),
            ),
        ),
    )
    reviews = (
        f"{person}: a short life of the {craft}.",
        f"Why {town} celebrates {person} every spring.",
        f"Letters of {person} to a brother abroad.",
        f"The school of {person}: pupils and rivals.",
    )
    return Entity(
        person,
        f"A plaque on a wall for {person}, a {craft}.",
        tilted_view(canvas, rng.choice(WALLS), rng, 0.16),
        facts,
        "Why is this person remembered? Tell me something about them.",
        f"{person} {craft} life and importance",
        reviews,
    )


def poster(rng: Random) -> Entity:
    what = rng.choice(
        (
            "Lantern Festival",
            "Jazz Nights",
            "Kite Days",
            "Book Fair",
            "Harbour Run",
            "Film Week",
            "Choir Meeting",
        )
    )
    town, day = names.town(rng), names.date(rng)
    name = f"{town} {what}"
    canvas = Canvas(330, 450)
    top, bottom = SKIES[rng.choice(sorted(SKIES))]
    canvas.gradient(0, 0, 330, 450, top, bottom)
    draw_cloud(canvas, 80, 150, 38)
    draw_cloud(canvas, 260, 120, 30)
    draw_hills(canvas, rng, 400, 60, rng.choice(("#3f5f57", "#4f4a6a", "#6b4a3a")))
    motif = rng.choice(("kite", "balloon", "hot-air balloon", "sailboat", "umbrella"))
    for x, y, s in ((90, 300, 105), (236, 330, 120), (166, 250, 80)):
        draw_object(canvas, motif, x, y, s, COLORS[rng.choice(("red", "yellow", "blue", "pink", "orange"))])
    canvas.rect(0, 0, 330, 92, "#1d2433d8")
    canvas.text(165, 32, town.upper(), 30, "#ffffff", "bold", "mm")
    canvas.text(165, 68, what, 26, "#ffd86b", "serif bold", "mm")
    canvas.rect(0, 400, 330, 450, "#1d2433d8")
    canvas.text(165, 425, day, 22, "#ffffff", "bold", "mm")
    year, guests, price = rng.randint(1931, 2012), rng.randint(12, 480) * 100, rng.randint(6, 38)
    now, friends, days = rng.randint(2022, 2026), rng.randint(3, 9), rng.randint(2, 5)
    facts = (
        Fact(
            "How many visitors came last time?",
            f"{name} number of visitors",
            f"{name}: {guests} visitors came to the last one.",
            (
                (
                    f"How many visitors a day were there last time, if it lasted {days} days?",
                    f"{guests} / {days}",
                ),
            ),
        ),
        Fact(
            "What does a ticket for this cost?",
            f"{name} ticket price",
            f"Tickets for the {name} cost {price} each at the gate.",
            ((f"What do tickets for this cost for {friends} friends and me?", f"{price} * ({friends} + 1)"),),
        ),
        Fact(
            "In which year was this held for the first time?",
            f"{name} first held",
            f"The {name} was first held in {year}.",
            ((f"How many years lie between the first time this was held and {now}?", f"{now} - {year}"),),
        ),
    )
    reviews = (
        f"{name}: programme, food and where to park.",
        f"Ten moments from last year's {name}.",
        f"Volunteers wanted for the {name}.",
        f"{names.person(rng)} opens the {name} for the third time.",
    )
    return Entity(
        name,
        f"A poster for the {name} on {day}, with {motif}s.",
        tilted_view(canvas, rng.choice(WALLS), rng),
        facts,
        "What can one expect there? Collect a few impressions.",
        f"{name} programme and impressions",
        reviews,
    )


def tin(rng: Random) -> Entity:
    brand, kind = (
        names.brand(rng),
        rng.choice(("Green Tea", "Cocoa", "Roast Coffee", "Chai", "Rooibos", "Herbal Tea")),
    )
    canvas = Canvas(430, 400)
    canvas.gradient(0, 0, 430, 400, "#d8d2c6", "#b8b0a2")
    draw_surface(canvas, Box(0, 300, 430, 400), rng.choice(("oak", "walnut", "marble")), rng)
    hue = rng.choice(("#2f6b4f", "#7b2d2d", "#27466b", "#6a4a8a", "#b5762a", "#23262b"))
    canvas.shadow(90, 340, 372, 376, 0.5)
    canvas.rect(100, 66, 330, 356, hue, radius=16, shade="cylinder")
    canvas.rect(92, 44, 338, 82, "#b9b4a6", radius=10, shade="cylinder")
    canvas.rect(100, 136, 330, 286, "#f3e9d0", shade="cylinder")
    size = 40 if font("serif bold", 40).getlength(brand) < 200 else 30
    canvas.text(215, 176, brand, size, "#3a2a1c", "serif bold", "mm")
    canvas.text(215, 216, kind, 24, "#7a4a24", "serif italic", "mm")
    grams = rng.choice((100, 125, 200, 250))
    canvas.text(215, 256, f"{grams} g", 20, "#3a2a1c", "serif", "mm")
    cents, farms = rng.randint(4, 19), rng.randint(8, 160)
    tins, each = rng.randint(2, 9), rng.randint(3, 12)
    facts = (
        Fact(
            "What does one of these cost in the maker's shop?",
            f"{brand} {kind} {grams} g price",
            f"{brand} {kind}, tin of {grams} g: {cents}.50 in the maker's shop.",
            ((f"What would {tins} of these cost in the maker's own shop?", f"{tins} * {cents}.50"),),
        ),
        Fact(
            "How many farms does the maker of this buy from?",
            f"{brand} {kind} number of farms",
            f"{brand} buys its {kind.lower()} from {farms} farms.",
            (
                (
                    f"If this brand visits {each} of its farms a week, how many weeks does it need for all?",
                    f"{farms} / {each}",
                ),
            ),
        ),
    )
    reviews = (
        f"{brand} {kind} tasted: mild, with a note of smoke.",
        f"How {brand} packs its {kind.lower()}.",
        f"Cafés that serve {brand}.",
        f"{brand} and its critics: is the tin worth the price?",
    )
    return Entity(
        f"{brand} {kind}",
        f"A tin of {brand} {kind} on a table.",
        frontal_view(canvas, rng),
        facts,
        "Is this any good? I'd like to hear several opinions.",
        f"{brand} {kind} opinions",
        reviews,
    )


ENTITIES: tuple[Callable[[Random], Entity], ...] = (book, shopfront, plaque, poster, tin)
