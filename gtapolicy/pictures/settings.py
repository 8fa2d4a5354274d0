"""Backgrounds on which objects stand, float or fly, and the placement of objects on them."""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

import numpy as np
from PIL import Image

from gtapolicy.pictures.canvas import Canvas
from gtapolicy.pictures.objects import OBJECTS, draw_object
from gtapolicy.pictures.pen import Box
from gtapolicy.pictures.shading import Point
from gtapolicy.pictures.surfaces import surface_texture

# The colors at the top and at the bottom of the sky.
SKIES = {
    "noon": ("#7fb3e0", "#dcebf5"),
    "dusk": ("#46407a", "#f2a36b"),
    "dawn": ("#8ea6cf", "#f8d9c0"),
    "overcast": ("#9aa5ad", "#d5d9da"),
}
# The y of the boards of a shelf, as fractions of the height.
BOARDS = (0.47, 0.92)


def draw_surface(canvas: Canvas, box: Box, name: str, rng: Random) -> None:
    """Fills a box of the canvas with the texture of a surface."""
    seed = rng.getrandbits(32)

    def load() -> Image.Image:
        size = round(box.x2 - box.x1) * 2, round(box.y2 - box.y1) * 2
        return surface_texture(name, *size, np.random.default_rng(seed))

    canvas.paste_image(box, load)


def draw_sky(canvas: Canvas, name: str, height: float) -> None:
    canvas.gradient(0, 0, canvas.width, height, *SKIES[name])


def draw_cloud(canvas: Canvas, x: float, y: float, size: float) -> None:
    for dx, dy, r in ((-0.7, 0.1, 0.5), (-0.2, -0.15, 0.65), (0.4, -0.02, 0.55), (0.85, 0.15, 0.4)):
        left, right = x + (dx - r) * size, x + (dx + r) * size
        canvas.ellipse(left, y + (dy - r * 0.55) * size, right, y + (dy + r * 0.55) * size, "#ffffffc8")


def draw_hills(canvas: Canvas, rng: Random, base: float, height: float, color: str) -> None:
    """Fills the canvas below a skyline, which is the sum of three waves above y = base."""
    waves = [(rng.uniform(0.5, 3), rng.uniform(0, 6), rng.uniform(0.2, 0.6)) for _ in range(3)]
    points: list[Point] = []
    for step in range(41):
        u = step / 40
        rise = sum(high * (1 + math.sin(6.28 * frequency * u + phase)) for frequency, phase, high in waves)
        points.append((u * canvas.width, base - height * (0.15 + 0.5 * rise)))
    canvas.polygon([*points, (canvas.width, canvas.height), (0, canvas.height)], color)


def table(canvas: Canvas, rng: Random) -> None:
    """A table top in front of a wall, sometimes with a window."""
    edge = round(canvas.height * 0.36)
    wall = rng.choice(("#d9cfc0", "#c5d0cf", "#e3d7c6", "#b9c3cf", "#d8c3b8", "#cfd6c2"))
    canvas.gradient(0, 0, canvas.width, edge, wall, wall)
    if rng.random() < 0.6:
        x = rng.uniform(0.1, 0.6) * canvas.width
        canvas.rect(x, 0, x + 130, edge * 0.72, "#f7f5ef", outline="#ffffff", outline_width=5)
        canvas.gradient(x + 6, 0, x + 124, edge * 0.68, "#bcd9ee", "#e9f2f0")
        canvas.rect(x + 62, 0, x + 68, edge * 0.7, "#ffffff")
    top = rng.choice(("oak", "walnut", "pine", "linen", "marble"))
    draw_surface(canvas, Box(0, edge, canvas.width, canvas.height), top, rng)
    canvas.rect(0, edge, canvas.width, edge + 3, "#40352a80")


def shelf(canvas: Canvas, rng: Random) -> None:
    """Two boards of wood on a wall."""
    wall = rng.choice(("plaster", "concrete", "brick"))
    draw_surface(canvas, Box(0, 0, canvas.width, canvas.height), wall, rng)
    wood = rng.choice(("oak", "walnut", "pine"))
    for share in BOARDS:
        y = round(share * canvas.height)
        canvas.shadow(10, y + 8, canvas.width - 10, y + 30, 0.35)
        draw_surface(canvas, Box(14, y, canvas.width - 14, y + 15), wood, rng)
        canvas.rect(14, y + 13, canvas.width - 14, y + 17, "#00000066")


def sky(canvas: Canvas, rng: Random) -> None:
    draw_sky(canvas, rng.choice(("noon", "dawn", "overcast")), canvas.height)
    for _ in range(rng.randint(2, 5)):
        x, y = rng.uniform(0, canvas.width), rng.uniform(0.05, 0.7) * canvas.height
        draw_cloud(canvas, x, y, rng.uniform(30, 70))
    draw_hills(canvas, rng, canvas.height * 0.9, 26, rng.choice(("#5d7f4f", "#7c9a5e", "#4f6f6a")))


def lake(canvas: Canvas, rng: Random) -> None:
    edge = canvas.height * 0.34
    draw_sky(canvas, rng.choice(sorted(SKIES)), edge)
    draw_hills(canvas, rng, edge, 40, rng.choice(("#55735a", "#6a7f86", "#4b6170")))
    deep = rng.choice(("#2c5f7c", "#356f6d", "#3a6491"))
    canvas.gradient(0, edge, canvas.width, canvas.height, "#86b3c4", deep)
    for _ in range(150):
        depth = rng.random() ** 0.7
        x, y = rng.uniform(0, canvas.width), edge + 4 + depth * (canvas.height - edge)
        length = 6 + 26 * depth
        canvas.line([(x, y), (x + length, y)], rng.choice(("#ffffff26", "#ffffff18", "#00203018")), 1 + depth)


def meadow(canvas: Canvas, rng: Random) -> None:
    edge = canvas.height * 0.34
    draw_sky(canvas, rng.choice(("noon", "dawn", "overcast")), edge)
    draw_hills(canvas, rng, edge + 4, 34, rng.choice(("#4f7348", "#66864f", "#5a7a6a")))
    draw_surface(canvas, Box(0, round(edge), canvas.width, canvas.height), "grass", rng)


def street(canvas: Canvas, rng: Random) -> None:
    """A row of houses behind a street."""
    edge = canvas.height * 0.36
    draw_sky(canvas, rng.choice(("noon", "overcast", "dusk")), edge)
    x = -20.0
    while x < canvas.width:
        wide, tall = rng.uniform(60, 110), rng.uniform(0.45, 0.95) * edge
        wall = rng.choice(("#b7a08a", "#9d8c94", "#c8b59c", "#8f9aa3", "#b98f7a"))
        canvas.rect(x, edge - tall, x + wide, edge + 6, wall, shade="cylinder")
        for row in range(int(tall // 26)):
            for column in range(int(wide // 24)):
                left, top = x + 8 + column * 24, edge - tall + 8 + row * 26
                canvas.rect(left, top, left + 11, top + 15, rng.choice(("#5a6b7c", "#f3dc9a", "#6f8294")))
        x += wide + 3
    draw_surface(canvas, Box(0, round(edge), canvas.width, canvas.height), "concrete", rng)


@dataclass(frozen=True, slots=True)
class Setting:
    draw: Callable[[Canvas, Random], None]
    # The objects that can be there.
    objects: tuple[str, ...]
    # The y of the back row and of the front row of objects, as fractions of the height.
    rows: tuple[float, float]
    # Whether objects may be slightly above or below their row.
    uneven: bool = True
    # Whether objects cast shadows.
    shadows: bool = True


SETTINGS = {
    "table": Setting(
        table,
        ("apple", "pear", "lemon", "egg", "cup", "glass", "bottle", "candle", "vase", "gift", "cupcake"),
        (0.52, 0.93),
    ),
    "shelf": Setting(
        shelf, ("book", "vase", "cup", "candle", "bottle", "gift", "ball"), BOARDS, uneven=False
    ),
    "sky": Setting(sky, ("balloon", "hot-air balloon", "kite"), (0.4, 0.86), shadows=False),
    "lake": Setting(lake, ("sailboat", "duck"), (0.48, 0.92)),
    "meadow": Setting(meadow, ("tent", "umbrella", "ball", "mushroom", "tree", "fir"), (0.52, 0.93)),
    "street": Setting(street, ("car", "umbrella", "tree"), (0.52, 0.92)),
}


class PlacedObject(NamedTuple):
    name: str
    color: str
    box: Box


def place_objects(
    canvas: Canvas, rng: Random, setting: Setting, chosen: Sequence[tuple[str, str]]
) -> list[PlacedObject]:
    """Draws objects, given as (name, color), in one or two rows. Objects in the front row are larger."""
    # Up to three objects are in one row, more than five in two; for four or five it is random.
    depth = 2 if len(chosen) > 5 else rng.choice((1, 2)) if len(chosen) > 3 else 1
    per_row = math.ceil(len(chosen) / depth)
    placed = []
    for row in range(depth):
        members = chosen[row * per_row : (row + 1) * per_row]
        # A single row is the front row.
        share = setting.rows[1] if depth == 1 else setting.rows[row]
        slot = canvas.width / (len(members) + 0.3)
        for number, (name, color) in enumerate(members):
            aspect = OBJECTS[name].aspect
            tallest = min(canvas.height * (0.36 if depth == 2 else 0.46), 0.86 * slot / aspect)
            height = tallest * rng.uniform(0.84, 1)
            x = slot * (number + 0.65) + rng.uniform(-0.04, 0.04) * slot
            shift = rng.uniform(-0.03, 0.03) * canvas.height if setting.uneven else 0
            y = canvas.height * share + shift
            if setting.shadows:
                # Slightly to the right, because the light comes from the left.
                half = aspect * height * 0.55
                canvas.shadow(x - half * 0.8, y - 0.06 * height, x + half * 1.2, y + 0.07 * height, 0.36)
            placed.append(PlacedObject(name, color, draw_object(canvas, name, x, y, height, color)))
    return placed
