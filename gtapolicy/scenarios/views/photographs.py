"""Photographs as views: what they show, and where."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from PIL import Image, ImageEnhance, ImageOps

from gtapolicy.pictures.camera import frontal_view, tilted_view
from gtapolicy.pictures.canvas import Box, Canvas
from gtapolicy.pictures.photos import photo
from gtapolicy.pictures.surfaces import DESKS
from gtapolicy.scenarios.views.sights import View


@dataclass(frozen=True, slots=True)
class Photo:
    """A photograph that scikit-image ships, and what is where in it, as shares of its width and height."""

    name: str
    size: tuple[int, int]
    sentence: str
    keywords: str
    noun: str
    parts: dict[str, tuple[float, float, float, float]]
    looks: dict[str, tuple[str, str]]


PHOTOS = (
    Photo(
        "chelsea",
        (451, 300),
        "A close-up of a ginger tabby cat with green eyes.",
        "ginger tabby cat, green eyes, close-up",
        "cat",
        {"nose of the cat": (0.51, 0.73, 0.65, 0.9), "left eye": (0.29, 0.27, 0.47, 0.5)},
        {"nose of the cat": ("color", "pinkish red"), "left eye": ("color", "green")},
    ),
    Photo(
        "coffee",
        (600, 400),
        "A red cup of espresso on a red saucer with a spoon, on a wooden table.",
        "red espresso cup, red saucer, spoon, wooden table",
        "coffee",
        {"spoon": (0.53, 0.16, 0.71, 0.82), "saucer": (0.12, 0.22, 0.81, 0.96)},
        {"spoon": ("material", "shiny metal"), "saucer": ("color", "dark red")},
    ),
    Photo(
        "astronaut",
        (512, 512),
        "A smiling astronaut in an orange space suit with a helmet, before a flag and a model shuttle.",
        "smiling astronaut, orange space suit, white helmet, flag",
        "astronaut",
        {"helmet": (0.56, 0.66, 0.99, 0.99), "flag": (0.0, 0.0, 0.19, 0.9)},
        {
            "helmet": ("color of the visor", "black"),
            "flag": ("pattern", "red and white stripes, white stars on blue"),
        },
    ),
    Photo(
        "rocket",
        (640, 427),
        "A white rocket on its launch pad between steel towers in the evening.",
        "white rocket, launch pad, steel towers, evening sky",
        "rocket",
        {"rocket": (0.475, 0.29, 0.53, 0.97)},
        {"rocket": ("color", "white")},
    ),
    Photo(
        "camera",
        (512, 512),
        "A black and white photograph of a man in a coat behind a camera on a tripod, on a lawn.",
        "man in a dark coat, camera on a tripod, lawn, black and white",
        "photographer",
        {"tripod": (0.45, 0.4, 0.8, 0.99)},
        {"tripod": ("number of legs that can be seen", "three")},
    ),
    Photo(
        "coins",
        (384, 303),
        "Four rows of old coins on dark cloth.",
        "rows of old coins, dark cloth",
        "coins",
        {"coin in the upper right corner": (0.79, 0.04, 0.96, 0.25)},
        {"coin in the upper right corner": ("motif", "a standing figure")},
    ),
    Photo(
        "hubble_deep_field",
        (1000, 872),
        "Hundreds of coloured galaxies on the black sky.",
        "galaxies of many colors, black sky",
        "galaxies",
        {},
        {},
    ),
)


def photograph(rng: Random) -> View:
    """Printed and lying on a desk, or as it is; in another tone each time."""
    chosen = rng.choice(PHOTOS)
    tone, mirrored, warm = (
        rng.uniform(0.8, 1.2),
        rng.random() < 0.5 and "left" not in str(chosen.parts),
        rng.uniform(0.7, 1.2),
    )
    mirrored = mirrored and "right" not in str(chosen.parts)
    wide = rng.randint(400, 500)
    tall = round(wide * chosen.size[1] / chosen.size[0])

    def load() -> Image.Image:
        image = photo(chosen.name)
        image = ImageOps.mirror(image) if mirrored else image
        return ImageEnhance.Color(ImageEnhance.Brightness(image).enhance(tone)).enhance(warm)

    edge = rng.choice((0, 14, 20))
    canvas = Canvas(wide + 2 * edge, tall + 2 * edge + (edge and rng.choice((0, 24))), "#f8f6f0")
    frame = Box(edge, edge, edge + wide, edge + tall)
    canvas.paste_image(frame, load)
    shot = tilted_view(canvas, rng.choice(DESKS), rng) if edge else frontal_view(canvas, rng)
    parts = {}
    for part, (x1, y1, x2, y2) in chosen.parts.items():
        left, right = (1 - x2, 1 - x1) if mirrored else (x1, x2)
        box = Box(edge + left * wide, edge + y1 * tall, edge + right * wide, edge + y2 * tall)
        parts[part] = shot.box(box)
    sentence = (
        f"A print of a photograph: {chosen.sentence[0].lower()}{chosen.sentence[1:]}"
        if edge
        else chosen.sentence
    )
    return View(sentence, chosen.keywords, shot, parts, chosen.noun, chosen.looks)
