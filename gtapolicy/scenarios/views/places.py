"""Queries about views and photographs: to draw anew, to restyle, to write on, to look into."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from gtapolicy.dataset.dialogs import Step
from gtapolicy.scenarios import names
from gtapolicy.scenarios.draft import Draft, describe, find, imagine, made, region
from gtapolicy.scenarios.views import rooms, sights
from gtapolicy.scenarios.views.photographs import photograph
from gtapolicy.scenarios.views.sights import View

STYLES = (
    "a watercolour",
    "an oil painting",
    "a pencil drawing",
    "a pixel-art game",
    "a woodcut",
    "a stained-glass window",
    "a comic strip",
    "a mosaic",
    "a pastel drawing",
    "an old postcard",
)
SPOTS = {
    "lt": "in the upper left corner",
    "mt": "in the middle of the upper edge",
    "rt": "in the upper right corner",
    "mm": "in the very middle",
    "lb": "in the lower left corner",
    "mb": "centred at the bottom",
    "rb": "in the lower right corner",
}
VIEWS: tuple[Callable[[Random], View], ...] = (
    *(sights.coast, sights.mountains, sights.village, sights.skyline, sights.desert),
    *(rooms.beach, rooms.winter, rooms.room, rooms.space, rooms.garden),
    *(photograph, photograph, photograph),
)


def view(rng: Random) -> View:
    return rng.choice(VIEWS)(rng)


def imagined(rng: Random, paths: tuple[str, ...]) -> Draft:
    """For imagine: a new picture of the same, changed as the query asks."""
    seen = view(rng)
    change = rng.choice(
        (
            "at night with stars",
            "in deep winter",
            "in heavy rain",
            "in the year 2200",
            "under water",
            "as toys of felt",
            "with a rainbow",
            "in thick fog",
            "made of paper",
            "on the moon",
            "in autumn colors",
            "as a snow globe",
        )
    )
    query = rng.choice(
        (
            f"Invent a picture with the same subject, but {change}.",
            f"I'd love to see this {change}. Can you generate it?",
            f"Use what is in my picture for a new one: the same, {change}.",
            f"Make a fresh image of what this shows, only {change}.",
            f"How would it look {change}? Create a picture of that, please.",
        )
    )
    drawn = imagine(
        paths[0],
        f"{seen.keywords}, {change}",
        "what the description names, and the change that the query asks for",
    )
    return Draft(query, (seen.shot,), (describe(paths[0], seen.sentence), drawn))


def titled(rng: Random, paths: tuple[str, ...]) -> Draft:
    """For style_title."""
    seen, style, spot = view(rng), rng.choice(STYLES), rng.choice(sorted(SPOTS))
    title = rng.choice(
        (
            f"Greetings from {names.town(rng)}",
            f"{names.shop(rng)}",
            f"Album by {names.person(rng)}",
            f"{names.town(rng)} {rng.randint(1950, 2030)}",
            f"{names.date(rng)}",
        )
    )
    colour = rng.choice(("red", "white", "yellow", "black", "blue"))
    query = rng.choice(
        (
            f"Turn the main subject into {style} and write '{title}' {SPOTS[spot]}{_inked(colour)}.",
            f"Please redo this picture as {style}; then put '{title}' {SPOTS[spot]}{_inked(colour)}.",
            f"For a poster: all of it as {style}, with the words '{title}' {SPOTS[spot]}{_inked(colour)}.",
        )
    )
    steps = (
        describe(paths[0], seen.sentence),
        _styled(paths[0], seen, style),
        _written(paths[0], title, spot, colour, "the spot that the query names"),
    )
    return Draft(query, (seen.shot,), steps)


def labelled(rng: Random, paths: tuple[str, ...]) -> Draft:
    """For style_place: the text goes where something is found in the new picture."""
    seen = view(rng)
    while not seen.parts:
        seen = view(rng)
    style, part = rng.choice(STYLES), rng.choice(sorted(seen.parts))
    title, colour = f"{rng.choice(names.FIRST)}'s", rng.choice(("red", "white", "yellow"))
    query = (
        f"Make {style} of this. Then find the {part} in the result "
        f"and write '{title}' at its upper left{_inked(colour)}."
    )
    box = seen.parts[part]
    place = f"({box.x1:.0f}, {box.y1:.0f})"
    steps = (
        describe(paths[0], seen.sentence),
        _styled(paths[0], seen, style),
        find(made(paths[0]), part, [box]),
        _written(paths[0], title, place, colour, "the upper left corner of the box that TextToBbox found"),
    )
    return Draft(query, (seen.shot,), steps)


def looked_at(rng: Random, paths: tuple[str, ...]) -> Draft:
    """For region."""
    seen = view(rng)
    while not seen.parts:
        seen = view(rng)
    part = rng.choice(sorted(seen.parts))
    attribute, answer = seen.looks[part]
    query = rng.choice(
        (
            f"About the {part} in this picture: what is its {attribute}?",
            f"I can't make it out: tell me the {attribute} of the {part}.",
            f"For a caption I need the {attribute} of the {part} here.",
            f"What would you say is the {attribute} when you look at the {part}?",
        )
    )
    steps = (find(paths[0], part, [seen.parts[part]]), region(paths[0], seen.parts[part], attribute, answer))
    return Draft(query, (seen.shot,), steps)


def _inked(colour: str) -> str:
    return "" if colour == "red" else f" in {colour}"


def _styled(path: str, seen: View, style: str) -> Step:
    arguments = {"image": path, "instruction": f"turn the {seen.noun} into {style}"}
    origins = {
        "image": "the image of the query",
        "instruction": "what the description shows, and the style in the query",
    }
    return Step("ImageStylization", arguments, made(path), origins=origins)


def _written(path: str, text: str, position: str, colour: str, where: str) -> Step:
    arguments = {"image": made(path), "text": text, "position": position}
    origins = {
        "image": "the image that ImageStylization returned",
        "text": "the query's words",
        "position": where,
    }
    if colour != "red":
        arguments["color"] = colour
        origins["color"] = "the query's color"
    return Step("AddText", arguments, made(path).replace(".jpg", "_text.jpg"), origins=origins)
