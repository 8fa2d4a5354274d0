"""Props beside a document: small objects at the edge of a desk, seen from above, partly hidden."""

import math
import random

from gtapolicy.pictures.canvas import Canvas
from gtapolicy.pictures.pen import Box

PEN_COLORS = ("#c8372d", "#3468b0", "#4e9a46", "#2b2b2e", "#ecc53a", "#7a4a9c")


def desk_props(width: int, height: int, edge: float, rng: random.Random) -> Canvas:
    """One to three props at different sides; `edge` is the margin around the document in pixels."""
    canvas = Canvas(width, height, None)
    places = {
        "left": (0.3 * edge, rng.uniform(0.2, 0.8) * height),
        "right": (width - 0.3 * edge, rng.uniform(0.2, 0.8) * height),
        "top": (rng.uniform(0.2, 0.8) * width, 0.3 * edge),
        "bottom": (rng.uniform(0.2, 0.8) * width, height - 0.3 * edge),
    }
    for side in rng.sample(sorted(places), rng.randint(1, 3)):
        x, y = places[side]
        draw = rng.choice((_pen, _pen, _mug, _leaf, _coins, _clip))
        draw(canvas, x, y, edge, rng)
    return canvas


def _pen(c: Canvas, x: float, y: float, edge: float, rng: random.Random) -> None:
    length, thick, color = 190, 13, rng.choice(PEN_COLORS)
    pen = Canvas(length, 20, None)
    pen.rect(0, 3, length * 0.8, 3 + thick, color, radius=4)
    pen.rect(0, 5, length * 0.8, 8, "#ffffff50", radius=1)
    pen.polygon([(length * 0.8, 3), (length - 2, 3 + thick / 2), (length * 0.8, 3 + thick)], "#d9c3a0")
    pen.polygon([(length * 0.94, 7.5), (length - 2, 3 + thick / 2), (length * 0.94, 11.5)], "#2b2b2b")
    # A pen is roughly parallel to the nearest side; otherwise most of it would be outside the picture.
    degrees = (90 if min(x, c.width - x) < edge else 0) + rng.uniform(-14, 14)
    turn = math.radians(degrees)
    ends = [(x + side * 90 * math.cos(turn) + 3, y + side * 90 * math.sin(turn) + 5) for side in (-1, 1)]
    c.line(ends, "#14100c48", 12)
    c.paste_canvas(pen, x, y, degrees)


def _mug(c: Canvas, x: float, y: float, edge: float, rng: random.Random) -> None:
    r, color = 1.05 * edge, rng.choice((*PEN_COLORS, "#f1efe8", "#e07a9c"))
    c.shadow(x - r, y - 0.9 * r, x + 1.35 * r, y + 1.3 * r, 0.5)
    c.disc(x, y, r, color, "sphere")
    c.disc(x, y, 0.86 * r, "#f4efe6")
    c.disc(x, y, 0.8 * r, rng.choice(("#4a2c1a", "#7a4d2b", "#9a5a22")), "fade")
    c.arc(Box(x - 0.55 * r, y - 0.55 * r, x + 0.55 * r, y + 0.55 * r), 190, 250, "#ffffff50", 3)


def _leaf(c: Canvas, x: float, y: float, edge: float, rng: random.Random) -> None:
    color, length = rng.choice(("#5f8f45", "#b5762a", "#a8452f", "#7a9a3c")), rng.uniform(1.5, 2.2) * edge
    leaf = Canvas(round(length), round(length * 0.5), None)
    w, h = leaf.width, leaf.height
    side = [(w * t / 12, h / 2 * (1 - math.sin(math.pi * (t / 12) ** 0.8))) for t in range(13)]
    leaf.polygon([*side, *((px, h - py) for px, py in reversed(side))], color, "fade")
    leaf.line([(0, h / 2), (w, h / 2)], "#00000040", 1.5)
    c.shadow(x - 0.35 * length, y - 0.2 * length, x + 0.45 * length, y + 0.3 * length, 0.25)
    c.paste_canvas(leaf, x, y, rng.uniform(0, 360))


def _coins(c: Canvas, x: float, y: float, edge: float, rng: random.Random) -> None:
    for _ in range(rng.randint(2, 4)):
        px, py = x + rng.uniform(-edge, edge) / 2, y + rng.uniform(-edge, edge) / 2
        r, color = rng.uniform(11, 16), rng.choice(("#c9a24a", "#b8b9bb", "#b0713f"))
        c.shadow(px - r, py - r, px + r + 4, py + r + 5, 0.4)
        c.disc(px, py, r, color, "fade")
        rim = 0.8 * r
        c.ellipse(px - rim, py - rim, px + rim, py + rim, "", outline="#00000038", outline_width=1.5)


def _clip(c: Canvas, x: float, y: float, edge: float, rng: random.Random) -> None:
    clip, color = Canvas(52, 20, None), rng.choice(("#8f979d", "#c8372d", "#3468b0"))
    for inset in (1, 5):
        clip.rect(inset, inset, 51 - 2 * inset, 19 - inset, "", outline=color, outline_width=2.2, radius=7)
    c.paste_canvas(clip, x, y + 0.1 * edge, rng.uniform(0, 180))
