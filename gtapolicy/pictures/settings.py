"""Where things stand, float and fly, and the places in which they can do so."""

from __future__ import annotations

import math
from collections.abc import Callable
from random import Random

import numpy as np
from PIL import Image

from gtapolicy.pictures.canvas import Box, Canvas, Point
from gtapolicy.pictures.grounds import ground_texture
from gtapolicy.pictures.things import HUES, THINGS

Setting = Callable[[Canvas, Random], None]
SKIES = {
    "noon": ("#7fb3e0", "#dcebf5"),
    "dusk": ("#46407a", "#f2a36b"),
    "dawn": ("#8ea6cf", "#f8d9c0"),
    "overcast": ("#9aa5ad", "#d5d9da"),
}


def textured(canvas: Canvas, box: Box, name: str, seed: int) -> None:
    """A ground's texture over a box of the canvas."""

    def load() -> Image.Image:
        size = round(box.x2 - box.x1) * 2, round(box.y2 - box.y1) * 2
        return ground_texture(name, *size, np.random.default_rng(seed))

    canvas.picture(box, load)


def table(canvas: Canvas, rng: Random) -> None:
    """A wall, and a table top before it."""
    edge = round(canvas.height * 0.36)
    wall = rng.choice(("#d9cfc0", "#c5d0cf", "#e3d7c6", "#b9c3cf", "#d8c3b8", "#cfd6c2"))
    canvas.gradient(0, 0, canvas.width, edge, wall, wall)
    if rng.random() < 0.6:
        x = rng.uniform(0.1, 0.6) * canvas.width
        canvas.rect(x, 0, x + 130, edge * 0.72, "#f7f5ef", "#ffffff", 5)
        canvas.gradient(x + 6, 0, x + 124, edge * 0.68, "#bcd9ee", "#e9f2f0")
        canvas.rect(x + 62, 0, x + 68, edge * 0.7, "#ffffff")
    textured(
        canvas,
        Box(0, edge, canvas.width, canvas.height),
        rng.choice(("oak", "walnut", "pine", "linen", "marble")),
        rng.getrandbits(32),
    )
    canvas.rect(0, edge, canvas.width, edge + 3, "#40352a80")


def shelf(canvas: Canvas, rng: Random) -> None:
    """Two boards of wood; see SLOTS."""
    textured(
        canvas,
        Box(0, 0, canvas.width, canvas.height),
        rng.choice(("plaster", "concrete", "brick")),
        rng.getrandbits(32),
    )
    wood = rng.choice(("oak", "walnut", "pine"))
    for share in (0.47, 0.92):
        y = round(share * canvas.height)
        canvas.shadow(10, y + 8, canvas.width - 10, y + 30, 0.35)
        textured(canvas, Box(14, y, canvas.width - 14, y + 15), wood, rng.getrandbits(32))
        canvas.rect(14, y + 13, canvas.width - 14, y + 17, "#00000066")


def sky(canvas: Canvas, rng: Random) -> None:
    top, bottom = SKIES[rng.choice(("noon", "dawn", "overcast"))]
    canvas.gradient(0, 0, canvas.width, canvas.height, top, bottom)
    for _ in range(rng.randint(2, 5)):
        cloud(
            canvas, rng.uniform(0, canvas.width), rng.uniform(0.05, 0.7) * canvas.height, rng.uniform(30, 70)
        )
    hills(canvas, rng, canvas.height * 0.9, 26, rng.choice(("#5d7f4f", "#7c9a5e", "#4f6f6a")))


def water(canvas: Canvas, rng: Random) -> None:
    edge = canvas.height * 0.34
    canvas.gradient(0, 0, canvas.width, edge, *SKIES[rng.choice(sorted(SKIES))])
    hills(canvas, rng, edge, 40, rng.choice(("#55735a", "#6a7f86", "#4b6170")))
    canvas.gradient(
        0, edge, canvas.width, canvas.height, "#86b3c4", rng.choice(("#2c5f7c", "#356f6d", "#3a6491"))
    )
    for _ in range(150):
        depth = rng.random() ** 0.7
        x, y = rng.uniform(0, canvas.width), edge + 4 + depth * (canvas.height - edge)
        long = 6 + 26 * depth
        canvas.line([(x, y), (x + long, y)], rng.choice(("#ffffff26", "#ffffff18", "#00203018")), 1 + depth)


def lawn(canvas: Canvas, rng: Random) -> None:
    edge = canvas.height * 0.34
    canvas.gradient(0, 0, canvas.width, edge, *SKIES[rng.choice(("noon", "dawn", "overcast"))])
    hills(canvas, rng, edge + 4, 34, rng.choice(("#4f7348", "#66864f", "#5a7a6a")))
    textured(canvas, Box(0, round(edge), canvas.width, canvas.height), "grass", rng.getrandbits(32))


def street(canvas: Canvas, rng: Random) -> None:
    edge = canvas.height * 0.36
    canvas.gradient(0, 0, canvas.width, edge, *SKIES[rng.choice(("noon", "overcast", "dusk"))])
    x = -20.0
    while x < canvas.width:
        wide, tall = rng.uniform(60, 110), rng.uniform(0.45, 0.95) * edge
        wall = rng.choice(("#b7a08a", "#9d8c94", "#c8b59c", "#8f9aa3", "#b98f7a"))
        canvas.rect(x, edge - tall, x + wide, edge + 6, wall, shade="side")
        for row in range(int(tall // 26)):
            for column in range(int(wide // 24)):
                at_x, at_y = x + 8 + column * 24, edge - tall + 8 + row * 26
                canvas.rect(at_x, at_y, at_x + 11, at_y + 15, rng.choice(("#5a6b7c", "#f3dc9a", "#6f8294")))
        x += wide + 3
    textured(canvas, Box(0, round(edge), canvas.width, canvas.height), "concrete", rng.getrandbits(32))


SETTINGS: dict[str, tuple[Setting, tuple[str, ...], tuple[float, float]]] = {
    "table": (
        table,
        ("apple", "pear", "lemon", "egg", "cup", "glass", "bottle", "candle", "vase", "gift", "cupcake"),
        (0.52, 0.93),
    ),
    "shelf": (shelf, ("book", "vase", "cup", "candle", "bottle", "gift", "ball"), (0.47, 0.92)),
    "sky": (sky, ("balloon", "hot-air balloon", "kite"), (0.4, 0.86)),
    "lake": (water, ("sailboat", "duck"), (0.48, 0.92)),
    "meadow": (lawn, ("tent", "umbrella", "ball", "mushroom", "tree", "fir"), (0.52, 0.93)),
    "street": (street, ("car", "umbrella", "tree"), (0.52, 0.92)),
}
"""By name: how it is drawn, what can be there, and at which shares of the height two rows of it stand."""


def place_things(
    canvas: Canvas, rng: Random, chosen: list[tuple[str, str]], rows: tuple[float, float]
) -> list[tuple[str, str, Box]]:
    """Things of these names and hues, row by row, those in front larger; the box of each."""
    depth = 2 if len(chosen) > 5 else rng.choice((1, 2)) if len(chosen) > 3 else 1
    split = math.ceil(len(chosen) / depth)
    placed = []
    for row in range(depth):
        members = chosen[row * split : (row + 1) * split]
        share = rows[1] if depth == 1 else rows[row]
        slot = canvas.width / (len(members) + 0.3)
        for number, (name, hue) in enumerate(members):
            draw, _, wide = THINGS[name]
            tall = min(canvas.height * (0.36 if depth == 2 else 0.46), 0.86 * slot / wide) * rng.uniform(
                0.84, 1
            )
            x = slot * (number + 0.65) + rng.uniform(-0.04, 0.04) * slot
            y = canvas.height * share + (
                0 if rows == (0.47, 0.92) else rng.uniform(-0.03, 0.03) * canvas.height
            )
            if rows[0] >= 0.47 and rows != (0.4, 0.86):
                half = wide * tall * 0.55
                canvas.shadow(x - half * 0.8, y - 0.06 * tall, x + half * 1.2, y + 0.07 * tall, 0.36)
            start = len(canvas.marks)
            draw(canvas, x, y, tall, HUES[hue])
            placed.append((name, hue, canvas.since(start)))
    return placed


def cloud(canvas: Canvas, x: float, y: float, s: float) -> None:
    for dx, dy, r in ((-0.7, 0.1, 0.5), (-0.2, -0.15, 0.65), (0.4, -0.02, 0.55), (0.85, 0.15, 0.4)):
        canvas.ellipse(
            x + (dx - r) * s, y + (dy - r * 0.55) * s, x + (dx + r) * s, y + (dy + r * 0.55) * s, "#ffffffc8"
        )


def hills(canvas: Canvas, rng: Random, base: float, tall: float, colour: str) -> None:
    """A soft skyline whose foot is at base."""
    waves = [(rng.uniform(0.5, 3), rng.uniform(0, 6), rng.uniform(0.2, 0.6)) for _ in range(3)]
    points: list[Point] = []
    for step in range(41):
        u = step / 40
        rise = sum(high * (1 + math.sin(6.28 * pace * u + start)) for pace, start, high in waves)
        points.append((u * canvas.width, base - tall * (0.15 + 0.5 * rise)))
    canvas.polygon([*points, (canvas.width, canvas.height), (0, canvas.height)], colour)
