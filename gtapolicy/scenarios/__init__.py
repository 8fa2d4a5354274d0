"""The procedural default set: invented dialogs and pictures in GTA's shape: 229 queries, 557 calls.

A dialog depends on its seed and number alone, and so does each of its pictures: any can be made by itself.
"""

from __future__ import annotations

import functools
import re
from random import Random

from PIL import Image

from gtapolicy.dataset.dialogs import Dialog
from gtapolicy.scenarios.draft import Draft, with_articles
from gtapolicy.scenarios.families import FAMILIES
from harness import seeds
from harness.errors import UserError

QUERIES = sum(family.queries for family in FAMILIES.values())
SPREAD = 3
"""Numbers of images that each dialog has to choose from, so that they are unique and sparse, as in GTA."""


def dialogs(seed: int, scale: int = 1) -> list[Dialog]:
    """All dialogs of a seed; scale repeats GTA's shape with other dialogs."""
    if scale < 1:
        raise UserError(f"scale: expected 1 or more, got {scale}")
    return [dialog(seed, number) for number in range(QUERIES * scale)]


def dialog(seed: int, number: int) -> Dialog:
    family, paths = _family(seed, number), _paths(seed, number)
    draft = _draft(seed, number)
    return Dialog(
        f"{family}-{number:04d}", family, with_articles(draft.query), paths, draft.steps, draft.open
    )


def picture(seed: int, path: str) -> Image.Image:
    """The image that a dialog of this seed names by this path."""
    found = re.fullmatch(r"image/image_(\d+)\.jpg", path)
    number = (int(found[1]) - 1) // SPREAD if found else -1
    if number < 0 or path not in (paths := _paths(seed, number)):
        raise UserError(f"path: expected that of an image of seed {seed}, got {path!r}")
    return _draft(seed, number).shots[paths.index(path)].image()


def _draft(seed: int, number: int) -> Draft:
    family = FAMILIES[_family(seed, number)]
    maker = family.makers[_turn(seed, number) % len(family.makers)]
    return maker(seeds.rng(seed, "dialog", number), _paths(seed, number))


@functools.lru_cache(maxsize=64)
def _order(seed: int, round_: int) -> list[tuple[str, int]]:
    """The families of one round, mixed, each with its count so far, by which its makers take turns."""
    order = [(name, turn) for name, family in FAMILIES.items() for turn in range(family.queries)]
    seeds.rng(seed, "order", round_).shuffle(order)
    return order


def _family(seed: int, number: int) -> str:
    return _order(seed, number // QUERIES)[number % QUERIES][0]


def _turn(seed: int, number: int) -> int:
    round_ = number // QUERIES
    name, turn = _order(seed, round_)[number % QUERIES]
    return turn + round_ * FAMILIES[name].queries


def _paths(seed: int, number: int) -> tuple[str, ...]:
    images = FAMILIES[_family(seed, number)].images
    rng: Random = seeds.rng(seed, "images", number)
    numbers = sorted(rng.sample(range(1, SPREAD + 1), images))
    return tuple(f"image/image_{SPREAD * number + found}.jpg" for found in numbers)
