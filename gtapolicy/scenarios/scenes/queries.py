"""Queries about scenes: generate a variant, restyle the scene, write on it, describe a part of it."""

from random import Random

from gtapolicy.scenarios import calls, names
from gtapolicy.scenarios.data import load, phrase
from gtapolicy.scenarios.draft import Draft
from gtapolicy.scenarios.scenes.landscapes import beach, coast, desert, mountains, space, winter
from gtapolicy.scenarios.scenes.photographs import photograph
from gtapolicy.scenarios.scenes.scene import Scene
from gtapolicy.scenarios.scenes.settlements import garden, room, skyline, village

STYLES = load("scenes/scenes.toml", "styles", list[str])
CHANGES = load("scenes/scenes.toml", "changes", list[str])
POSITIONS = load("scenes/scenes.toml", "positions", dict[str, str])
DRAWN = (coast, mountains, village, skyline, desert, beach, winter, room, space, garden)
# Three of thirteen scenes are photographs.
SCENES = (*DRAWN, photograph, photograph, photograph)


def _scene(rng: Random) -> Scene:
    return rng.choice(SCENES)(rng)


def _scene_with_parts(rng: Random) -> Scene:
    scene = _scene(rng)
    while not scene.texts.parts:
        scene = _scene(rng)
    return scene


def _in_color(color: str) -> str:
    return "" if color == calls.DEFAULT_TEXT_COLOR else f" in {color}"


def imagine_changed(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family imagine: a new picture of the same scene with a change."""
    scene, change = _scene(rng), rng.choice(CHANGES)
    query = phrase(rng, "imagine_changed", change=change)
    origin = "the description, and the change that the query asks for"
    keywords = f"{scene.texts.sentence.rstrip('.')}, {change}"
    steps = (
        calls.describe(paths[0], scene.texts.sentence, "new-image"),
        calls.imagine(paths[0], keywords, origin, "new-image"),
    )
    return Draft(query, (scene.view,), steps)


def add_title(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family style_title: a title on the restyled picture."""
    scene, style, position = _scene(rng), rng.choice(STYLES), rng.choice(sorted(POSITIONS))
    words = {"town": names.town(rng), "shop": names.shop(rng), "person": names.person(rng)}
    words |= {"town_and_year": f"{names.town(rng)} {rng.randint(1950, 2030)}", "date": names.date(rng)}
    title = phrase(rng, "title", **words)
    color = rng.choice(("red", "white", "yellow", "black", "blue"))
    where = f"{POSITIONS[position]}{_in_color(color)}"
    query = phrase(rng, "add_title", style=style, title=title, where=where)
    steps = (
        calls.describe(paths[0], scene.texts.sentence, "restyle"),
        calls.stylize(paths[0], style),
        calls.add_text(paths[0], title, position, color, "the spot that the query names"),
    )
    return Draft(query, (scene.view,), steps)


def label_part(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family style_place: a text at a part, whose box is found in the restyled picture."""
    scene = _scene_with_parts(rng)
    style, part = rng.choice(STYLES), rng.choice(sorted(scene.texts.parts))
    text, color = f"{names.first_name(rng)}'s", rng.choice(("red", "white", "yellow"))
    query = phrase(rng, "label_part", style=style, part=part, text=text, color=_in_color(color))
    box, restyled = scene.boxes[part], calls.generated_path(paths[0])
    corner, origin = f"({box.x1:.0f}, {box.y1:.0f})", "the upper left corner of the box that TextToBbox found"
    steps = (
        calls.describe(paths[0], scene.texts.sentence, "restyle"),
        calls.stylize(paths[0], style),
        calls.find(restyled, part, [box], "write", "the image that ImageStylization returned"),
        calls.add_text(paths[0], text, corner, color, origin),
    )
    return Draft(query, (scene.view,), steps)


def look_at_part(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family region: an attribute of a part of the scene."""
    scene = _scene_with_parts(rng)
    part = rng.choice(sorted(scene.texts.parts))
    attribute, value = scene.texts.parts[part]
    query = phrase(rng, "look_at_part", part=part, attribute=attribute)
    box = scene.boxes[part]
    steps = (calls.find(paths[0], part, [box]), calls.region(paths[0], box, attribute, value))
    return Draft(query, (scene.view,), steps)
