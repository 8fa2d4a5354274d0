"""The generated dialogs and their pictures, in the shape of GTA: 229 queries, 557 calls, 252 images per seed.

A dialog and its pictures depend only on the seed and the dialog's number. Each can be created separately:

    rng(seed, "dialog", number)
      |  a maker of the dialog's family chooses names, numbers and colors, and puts them on canvases
      v
    Draft: the query, a camera view per image, and the steps: tool calls with their results,
      |    which come from the same values and boxes as the pictures
      |
      +--> Dialog: id, family, query, image paths, steps          dialog(seed, number)
      +--> pixels of one of the views                             picture(seed, path)

Read families.py (which makers create which family), draft.py and calls.py (what they create). The makers are
in documents/ (images to read), scenes/ (images to look at) and searches/ (images of something to look up).
Their words, prices and phrasings are in TOML files, which data.py reads.
"""

import functools
import re

from PIL import Image

from gtapolicy.dataset.dialogs import Dialog
from gtapolicy.scenarios.calls import fix_articles
from gtapolicy.scenarios.draft import Draft
from gtapolicy.scenarios.families import FAMILIES, MAKERS
from harness import seeds
from harness.errors import UserError

QUERIES = sum(family.queries for family in FAMILIES.values())
# Each dialog has this many image numbers and uses some of them, so image numbers have gaps, as in GTA.
NUMBERS_PER_DIALOG = 3


def dialogs(seed: int, scale: int = 1) -> list[Dialog]:
    """All dialogs of a seed, `scale` times as many as GTA has."""
    if scale < 1:
        raise UserError(f"scale: expected 1 or more, got {scale}")
    return [dialog(seed, number) for number in range(QUERIES * scale)]


def dialog(seed: int, number: int) -> Dialog:
    family, _ = _family(seed, number)
    paths, draft = _paths(seed, number), _draft(seed, number)
    name = f"{family}-{number:04d}"
    return Dialog(name, family, fix_articles(draft.query), paths, draft.steps, draft.open)


def picture(seed: int, path: str) -> Image.Image:
    """The image with this path, which a dialog of this seed contains."""
    match = re.fullmatch(r"image/image_(\d+)\.jpg", path)
    number = (int(match[1]) - 1) // NUMBERS_PER_DIALOG if match else -1
    if number < 0 or path not in (paths := _paths(seed, number)):
        raise UserError(f"path: expected an image path of seed {seed}, got {path!r}")
    return _draft(seed, number).views[paths.index(path)].image()


def _draft(seed: int, number: int) -> Draft:
    name, index = _family(seed, number)
    makers = MAKERS[name]
    return makers[index % len(makers)](seeds.rng(seed, "dialog", number), _paths(seed, number))


def _family(seed: int, number: int) -> tuple[str, int]:
    """The family of a dialog, and the dialog's number within that family."""
    round_, position = divmod(number, QUERIES)
    name, index = _shuffled_families(seed, round_)[position]
    return name, index + round_ * FAMILIES[name].queries


@functools.lru_cache(maxsize=64)
def _shuffled_families(seed: int, round_: int) -> list[tuple[str, int]]:
    """The shuffled families of a round of QUERIES dialogs. Each has its number in the family."""
    order = [(name, index) for name, family in FAMILIES.items() for index in range(family.queries)]
    seeds.rng(seed, "order", round_).shuffle(order)
    return order


def _paths(seed: int, number: int) -> tuple[str, ...]:
    name, _ = _family(seed, number)
    rng = seeds.rng(seed, "images", number)
    chosen = sorted(rng.sample(range(1, NUMBERS_PER_DIALOG + 1), FAMILIES[name].images))
    return tuple(f"image/image_{NUMBERS_PER_DIALOG * number + offset}.jpg" for offset in chosen)
