"""Scenes that are photographs from scikit-image. Each use varies the brightness and the color.

docs/gtapolicy_pictures.md lists the source and license of each photograph.
"""

import functools
from dataclasses import dataclass, replace
from random import Random

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from gtapolicy.pictures.camera import frontal_view, tilted_view
from gtapolicy.pictures.canvas import Canvas
from gtapolicy.pictures.pen import Box
from gtapolicy.pictures.surfaces import DESKS
from gtapolicy.scenarios.data import load
from gtapolicy.scenarios.scenes.scene import Scene, SceneTexts
from harness import registry
from harness.errors import UserError


@dataclass(frozen=True, slots=True)
class Photo(SceneTexts):
    # Width and height in pixels.
    size: tuple[int, int]
    # The box of each part: left, top, right and bottom as fractions of the size.
    boxes: dict[str, tuple[float, float, float, float]]


# By their names in skimage.data.
PHOTOS = load("scenes/scenes.toml", "photographs", dict[str, Photo])


@functools.lru_cache(maxsize=16)
def photo(name: str) -> Image.Image:
    """The photograph as RGB. Raises UserError if scikit-image is not installed."""
    try:
        import skimage.data
    except ImportError:
        raise UserError(
            f"photographs: expected the package scikit-image, found none; {registry.to_install('gta')}"
        ) from None
    return Image.fromarray(np.asarray(getattr(skimage.data, name)())).convert("RGB")


def photograph(rng: Random) -> Scene:
    """A photograph that fills the picture, or a print of it on a desk."""
    name, texts = rng.choice(list(PHOTOS.items()))
    brightness, mirrored, color = rng.uniform(0.8, 1.2), rng.random() < 0.5, rng.uniform(0.7, 1.2)
    # Photographs with "left" or "right" in the name of a part are not mirrored.
    mirrored = mirrored and not any("left" in part or "right" in part for part in texts.parts)
    wide = rng.randint(400, 500)
    tall = round(wide * texts.size[1] / texts.size[0])

    def toned() -> Image.Image:
        image = ImageOps.mirror(photo(name)) if mirrored else photo(name)
        return ImageEnhance.Color(ImageEnhance.Brightness(image).enhance(brightness)).enhance(color)

    # The white edge of a print, sometimes wider at the bottom.
    edge = rng.choice((0, 14, 20))
    bottom = rng.choice((0, 24)) if edge else 0
    canvas = Canvas(wide + 2 * edge, tall + 2 * edge + bottom, "#f8f6f0")
    canvas.paste_image(Box(edge, edge, edge + wide, edge + tall), toned)
    view = tilted_view(canvas, rng.choice(DESKS), rng) if edge else frontal_view(canvas, rng)
    boxes = {}
    for part, (x1, y1, x2, y2) in texts.boxes.items():
        left, right = (1 - x2, 1 - x1) if mirrored else (x1, x2)
        box = Box(edge + left * wide, edge + y1 * tall, edge + right * wide, edge + y2 * tall)
        boxes[part] = view.box(box)
    if edge:
        sentence = texts.sentence
        printed = f"A print of a photograph: {sentence[0].lower()}{sentence[1:]}"
        texts = replace(texts, sentence=printed)
    return Scene(texts, view, boxes)
