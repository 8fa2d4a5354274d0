"""Things that can be counted, found and described: each stands on (x, y), s pixels tall, in a colour."""

from __future__ import annotations

import math
from collections.abc import Callable

from gtapolicy.pictures.canvas import Box, Canvas, Point

Thing = Callable[[Canvas, float, float, float, str], None]

HUES = {
    "red": "#c8372d",
    "orange": "#e5832b",
    "yellow": "#ecc53a",
    "green": "#4e9a46",
    "blue": "#3468b0",
    "purple": "#7a4a9c",
    "pink": "#e07a9c",
    "white": "#f1efe8",
    "black": "#2b2b2e",
    "brown": "#7b5233",
    "turquoise": "#2fa39a",
    "golden": "#c98a45",
}


def _around(x: float, y: float, points: list[Point], s: float) -> list[Point]:
    return [(x + px * s, y + py * s) for px, py in points]


def apple(c: Canvas, x: float, y: float, s: float, hue: str) -> None:
    r = 0.42 * s
    c.ellipse(x - r * 1.08, y - 2 * r, x + r * 1.08, y, hue, shade="ball")
    c.line([(x, y - 1.85 * r), (x + 0.05 * s, y - s)], "#5a3d22", 0.05 * s)
    c.polygon(_around(x, y, [(0.04, -0.92), (0.2, -1.02), (0.3, -0.92), (0.15, -0.86)], s), "#5f9a3c", "down")


def pear(c: Canvas, x: float, y: float, s: float, hue: str) -> None:
    c.line([(x, y - 0.85 * s), (x + 0.04 * s, y - s)], "#5a3d22", 0.05 * s)
    body = [(0.34 * math.sin(t) * (1 + 0.32 * math.cos(t)), -0.45 + 0.45 * math.cos(t)) for t in _turns(48)]
    c.polygon(_around(x, y, body, s), hue, "ball")


def lemon(c: Canvas, x: float, y: float, s: float, hue: str) -> None:
    c.polygon(
        _around(
            x, y, [(-0.62, -0.4), (-0.4, -0.55), (0.4, -0.55), (0.62, -0.4), (0.4, -0.22), (-0.4, -0.22)], s
        ),
        hue,
    )
    c.ellipse(x - 0.5 * s, y - 0.78 * s, x + 0.5 * s, y, hue, shade="ball")


def egg(c: Canvas, x: float, y: float, s: float, hue: str) -> None:
    body = [(0.36 * math.sin(t) * (1 + 0.14 * math.cos(t)), -0.48 + 0.48 * math.cos(t)) for t in _turns(48)]
    c.polygon(_around(x, y, body, s), hue, "ball")


def cup(c: Canvas, x: float, y: float, s: float, hue: str) -> None:
    c.arc(Box(x + 0.2 * s, y - 0.78 * s, x + 0.66 * s, y - 0.22 * s), -110, 110, hue, 0.1 * s)
    c.rect(x - 0.4 * s, y - 0.9 * s, x + 0.4 * s, y, hue, radius=0.12 * s, shade="side")
    c.ellipse(x - 0.4 * s, y - s, x + 0.4 * s, y - 0.78 * s, hue, shade="down")
    c.ellipse(x - 0.33 * s, y - 0.97 * s, x + 0.33 * s, y - 0.81 * s, "#4a2c1a")


def glass(c: Canvas, x: float, y: float, s: float, hue: str) -> None:
    c.polygon(_around(x, y, [(-0.3, -1), (0.3, -1), (0.22, 0), (-0.22, 0)], s), "#dfe9ee90")
    c.polygon(
        _around(x, y, [(-0.275, -0.78), (0.275, -0.78), (0.21, -0.04), (-0.21, -0.04)], s), hue + "e0", "side"
    )
    c.ellipse(x - 0.275 * s, y - 0.83 * s, x + 0.275 * s, y - 0.73 * s, hue, shade="down")
    c.ellipse(x - 0.3 * s, y - 1.05 * s, x + 0.3 * s, y - 0.95 * s, None, "#ffffffb0", 1.4)
    c.line([(x - 0.2 * s, y - 0.9 * s), (x - 0.15 * s, y - 0.15 * s)], "#ffffff70", 0.05 * s)


def bottle(c: Canvas, x: float, y: float, s: float, hue: str) -> None:
    c.rect(x - 0.16 * s, y - 0.66 * s, x + 0.16 * s, y, hue, radius=0.05 * s, shade="side")
    c.polygon(_around(x, y, [(-0.16, -0.62), (-0.06, -0.8), (0.06, -0.8), (0.16, -0.62)], s), hue, "side")
    c.rect(x - 0.06 * s, y - 0.97 * s, x + 0.06 * s, y - 0.76 * s, hue, shade="side")
    c.rect(x - 0.07 * s, y - s, x + 0.07 * s, y - 0.93 * s, "#c9b27a", shade="side")
    c.rect(x - 0.16 * s, y - 0.46 * s, x + 0.16 * s, y - 0.2 * s, "#f3ecd8", shade="side")


def book(c: Canvas, x: float, y: float, s: float, hue: str) -> None:
    """Upright, its spine to the viewer."""
    c.rect(x - 0.15 * s, y - s, x + 0.15 * s, y, hue, radius=0.02 * s, shade="side")
    for at in (0.86, 0.8, 0.16):
        c.line([(x - 0.13 * s, y - at * s), (x + 0.13 * s, y - at * s)], "#f2e3b3", 0.02 * s)
    c.rect(x - 0.08 * s, y - 0.7 * s, x + 0.08 * s, y - 0.34 * s, "#f6efdc", shade="side")


def candle(c: Canvas, x: float, y: float, s: float, hue: str) -> None:
    c.rect(x - 0.15 * s, y - 0.74 * s, x + 0.15 * s, y, hue, shade="side")
    c.ellipse(x - 0.15 * s, y - 0.79 * s, x + 0.15 * s, y - 0.69 * s, hue, shade="down")
    c.line([(x, y - 0.74 * s), (x, y - 0.82 * s)], "#3a2d22", 0.025 * s)
    c.polygon(
        _around(x, y, [(0, -1.04), (0.07, -0.88), (0.04, -0.8), (-0.04, -0.8), (-0.07, -0.88)], s), "#f7b733"
    )
    c.ellipse(x - 0.03 * s, y - 0.9 * s, x + 0.03 * s, y - 0.8 * s, "#fff3c4")


def vase(c: Canvas, x: float, y: float, s: float, hue: str) -> None:
    """With three flowers."""
    for dx, dy, petal in ((-0.2, -0.86, "#e8a0bd"), (0.18, -0.82, "#f0d264"), (0.0, -0.94, "#d9614f")):
        c.line([(x, y - 0.4 * s), (x + dx * s, y + dy * s)], "#4b7d3c", 0.03 * s)
        for turn in _turns(6):
            c.disc(
                x + (dx + 0.06 * math.cos(turn)) * s,
                y + (dy + 0.06 * math.sin(turn)) * s,
                0.05 * s,
                petal,
                "ball",
            )
        c.disc(x + dx * s, y + dy * s, 0.045 * s, "#7a4a1e", "ball")
    body = [
        (-0.1, -0.52),
        (0.1, -0.52),
        (0.09, -0.44),
        (0.19, -0.26),
        (0.17, -0.08),
        (0.11, 0),
        (-0.11, 0),
        (-0.17, -0.08),
        (-0.19, -0.26),
        (-0.09, -0.44),
    ]
    c.polygon(_around(x, y, body, s), hue, "side")


def gift(c: Canvas, x: float, y: float, s: float, hue: str) -> None:
    c.rect(x - 0.42 * s, y - 0.62 * s, x + 0.42 * s, y, hue, shade="down")
    c.rect(x - 0.46 * s, y - 0.78 * s, x + 0.46 * s, y - 0.6 * s, hue, shade="side")
    ribbon = "#f4e9c8"
    c.rect(x - 0.07 * s, y - 0.78 * s, x + 0.07 * s, y, ribbon, shade="side")
    c.polygon(_around(x, y, [(0, -0.78), (-0.26, -0.98), (-0.3, -0.8)], s), ribbon, "down")
    c.polygon(_around(x, y, [(0, -0.78), (0.26, -0.98), (0.3, -0.8)], s), ribbon, "down")


def ball(c: Canvas, x: float, y: float, s: float, hue: str) -> None:
    c.disc(x, y - s / 2, s / 2, hue, "ball")
    c.arc(Box(x - 0.22 * s, y - s, x + 0.22 * s, y), 90, 270, "#ffffffb0", 0.04 * s)
    c.arc(Box(x - 0.5 * s, y - 0.66 * s, x + 0.5 * s, y - 0.34 * s), 0, 180, "#ffffffb0", 0.04 * s)


def cupcake(c: Canvas, x: float, y: float, s: float, hue: str) -> None:
    c.polygon(_around(x, y, [(-0.36, -0.46), (0.36, -0.46), (0.26, 0), (-0.26, 0)], s), "#c99a5b", "side")
    for at in range(-3, 4):
        c.line([(x + at * 0.1 * s, y - 0.46 * s), (x + at * 0.075 * s, y)], "#a87a40", 0.02 * s)
    for wide, low in ((0.44, 0.4), (0.33, 0.58), (0.2, 0.74)):
        c.ellipse(x - wide * s, y - (low + 0.24) * s, x + wide * s, y - low * s, hue, shade="ball")
    c.disc(x, y - 0.98 * s, 0.08 * s, "#c8372d", "ball")


def balloon(c: Canvas, x: float, y: float, s: float, hue: str) -> None:
    points = [(x + 0.03 * s * math.sin(t * 2.2), y - 0.32 * s + t * 0.05 * s) for t in range(7)]
    c.line(points, "#7d7d7d", 1.2)
    c.polygon(_around(x, y, [(0, -0.36), (0.05, -0.29), (-0.05, -0.29)], s), hue)
    c.ellipse(x - 0.29 * s, y - s, x + 0.29 * s, y - 0.32 * s, hue, shade="ball")


def hot_air_balloon(c: Canvas, x: float, y: float, s: float, hue: str) -> None:
    c.polygon(_around(x, y, [(-0.3, -0.5), (0.3, -0.5), (0.09, -0.22), (-0.09, -0.22)], s), hue, "side")
    c.ellipse(x - 0.37 * s, y - s, x + 0.37 * s, y - 0.34 * s, hue, shade="ball")
    c.ellipse(x - 0.13 * s, y - s, x + 0.13 * s, y - 0.34 * s, "#f6ecd0d0", shade="side")
    for side in (-1, 1):
        c.line([(x + side * 0.09 * s, y - 0.24 * s), (x + side * 0.07 * s, y - 0.13 * s)], "#4d3a28", 1.2)
    c.rect(x - 0.08 * s, y - 0.13 * s, x + 0.08 * s, y, "#8a5a30", radius=0.02 * s, shade="side")


def kite(c: Canvas, x: float, y: float, s: float, hue: str) -> None:
    tail = [(x + 0.1 * s * math.sin(t), y - 0.35 * s + t * 0.055 * s) for t in range(7)]
    c.line(tail, "#6b6b6b", 1.4)
    c.polygon(_around(x, y, [(0, -1), (0.3, -0.7), (0, -0.32), (-0.3, -0.7)], s), hue, "down")
    c.polygon(_around(x, y, [(0, -1), (0.3, -0.7), (0, -0.7)], s), "#ffffff55")
    c.polygon(_around(x, y, [(0, -0.32), (-0.3, -0.7), (0, -0.7)], s), "#00000030")


def sailboat(c: Canvas, x: float, y: float, s: float, hue: str) -> None:
    c.line([(x, y - 0.15 * s), (x, y - s)], "#5b4630", 0.03 * s)
    c.polygon(_around(x, y, [(0.03, -0.98), (0.4, -0.24), (0.03, -0.24)], s), hue, "side")
    c.polygon(_around(x, y, [(-0.03, -0.88), (-0.3, -0.24), (-0.03, -0.24)], s), "#f4f1e8", "side")
    c.polygon(_around(x, y, [(-0.46, -0.19), (0.5, -0.19), (0.34, 0), (-0.34, 0)], s), "#7b4a2a", "down")
    c.ellipse(x - 0.42 * s, y - 0.01 * s, x + 0.42 * s, y + 0.07 * s, "#ffffff60")


def duck(c: Canvas, x: float, y: float, s: float, hue: str) -> None:
    c.polygon(_around(x, y, [(-0.62, -0.56), (-0.3, -0.42), (-0.4, -0.2)], s), hue, "down")
    c.ellipse(x - 0.5 * s, y - 0.56 * s, x + 0.42 * s, y, hue, shade="ball")
    c.ellipse(x - 0.32 * s, y - 0.44 * s, x + 0.14 * s, y - 0.14 * s, "#00000022")
    c.polygon(_around(x, y, [(0.54, -0.76), (0.8, -0.66), (0.54, -0.6)], s), "#e8912c", "down")
    c.disc(x + 0.36 * s, y - 0.72 * s, 0.24 * s, hue, "ball")
    c.disc(x + 0.42 * s, y - 0.78 * s, 0.045 * s, "#1a1a1a")


def tent(c: Canvas, x: float, y: float, s: float, hue: str) -> None:
    c.polygon(_around(x, y, [(0.1, -1), (0.95, -0.2), (0.62, 0)], s), hue, "down")
    c.polygon(_around(x, y, [(0.1, -1), (0.62, 0), (-0.62, 0)], s), hue, "side")
    c.polygon(_around(x, y, [(0.1, -1), (0.95, -0.2), (0.62, 0)], s), "#00000038")
    c.polygon(_around(x, y, [(0.07, -0.78), (0.22, 0), (-0.2, 0)], s), "#2a241e")


def umbrella(c: Canvas, x: float, y: float, s: float, hue: str) -> None:
    c.line([(x, y), (x, y - 0.9 * s)], "#d8c9a8", 0.04 * s)
    c.pie(Box(x - 0.62 * s, y - s, x + 0.62 * s, y - 0.1 * s), 180, 360, hue)
    for left, right in ((-0.38, -0.14), (0.14, 0.38)):
        c.polygon(_around(x, y, [(0, -1), (right, -0.55), (left, -0.55)], s), "#ffffffc0")
    c.disc(x, y - s, 0.04 * s, "#8a6a3a")


def house(c: Canvas, x: float, y: float, s: float, hue: str) -> None:
    c.rect(x - 0.4 * s, y - 0.58 * s, x + 0.4 * s, y, "#efe4d0", shade="side")
    c.rect(x + 0.18 * s, y - 0.98 * s, x + 0.3 * s, y - 0.7 * s, "#8d5a44", shade="side")
    c.polygon(_around(x, y, [(0, -1), (0.52, -0.55), (-0.52, -0.55)], s), hue, "down")
    c.rect(x - 0.1 * s, y - 0.34 * s, x + 0.1 * s, y, "#6b4428", shade="down")
    for side in (-0.27, 0.27):
        c.rect(
            x + side * s - 0.08 * s,
            y - 0.44 * s,
            x + side * s + 0.08 * s,
            y - 0.26 * s,
            "#9cc4dc",
            "#ffffff",
            1.5,
        )


def tree(c: Canvas, x: float, y: float, s: float, hue: str) -> None:
    c.rect(x - 0.06 * s, y - 0.4 * s, x + 0.06 * s, y, "#6b4a2e", shade="side")
    for dx, dy, r in ((-0.2, -0.5, 0.22), (0.2, -0.5, 0.22), (0, -0.72, 0.28), (0, -0.5, 0.24)):
        c.disc(x + dx * s, y + dy * s, r * s, hue, "ball")


def fir(c: Canvas, x: float, y: float, s: float, hue: str) -> None:
    c.rect(x - 0.05 * s, y - 0.15 * s, x + 0.05 * s, y, "#5d4029", shade="side")
    for low, high, wide in ((0.12, 0.55, 0.34), (0.36, 0.78, 0.27), (0.6, 1.0, 0.19)):
        c.polygon(_around(x, y, [(0, -high), (wide, -low), (-wide, -low)], s), hue, "side")


def car(c: Canvas, x: float, y: float, s: float, hue: str) -> None:
    roof = [(-0.55, -0.62), (-0.3, -1), (0.35, -1), (0.65, -0.62)]
    c.polygon(_around(x, y, roof, s), hue, "down")
    c.polygon(
        _around(x, y, [(-0.43, -0.63), (-0.25, -0.92), (-0.01, -0.92), (-0.01, -0.63)], s), "#bcd7e6", "down"
    )
    c.polygon(
        _around(x, y, [(0.06, -0.63), (0.06, -0.92), (0.31, -0.92), (0.5, -0.63)], s), "#bcd7e6", "down"
    )
    c.rect(x - 1.0 * s, y - 0.64 * s, x + 1.0 * s, y - 0.18 * s, hue, radius=0.16 * s, shade="down")
    for side in (-0.58, 0.58):
        c.disc(x + side * s, y - 0.2 * s, 0.2 * s, "#222326", "ball")
        c.disc(x + side * s, y - 0.2 * s, 0.09 * s, "#c9ccd0", "ball")
    c.ellipse(x + 0.88 * s, y - 0.54 * s, x + 0.99 * s, y - 0.4 * s, "#fdf3c0")


def mushroom(c: Canvas, x: float, y: float, s: float, hue: str) -> None:
    c.rect(x - 0.14 * s, y - 0.55 * s, x + 0.14 * s, y, "#efe6d2", radius=0.08 * s, shade="side")
    c.pie(Box(x - 0.46 * s, y - s, x + 0.46 * s, y - 0.08 * s), 180, 360, hue)
    for dx, dy in ((-0.22, -0.68), (0.05, -0.82), (0.24, -0.64)):
        c.ellipse(
            x + (dx - 0.07) * s, y + (dy - 0.055) * s, x + (dx + 0.07) * s, y + (dy + 0.055) * s, "#fbf5e8"
        )


def burger(c: Canvas, x: float, y: float, s: float, hue: str) -> None:
    """The hue is that of the bun."""
    plate(c, x, y, s)
    y -= 0.14 * s
    c.rect(x - 0.44 * s, y - 0.22 * s, x + 0.44 * s, y, hue, radius=0.1 * s, shade="side")
    c.rect(x - 0.47 * s, y - 0.36 * s, x + 0.47 * s, y - 0.18 * s, "#5d3621", radius=0.09 * s, shade="side")
    c.polygon(
        _around(
            x, y, [(-0.5, -0.34), (0.5, -0.34), (0.36, -0.24), (0.2, -0.34), (0, -0.22), (-0.25, -0.33)], s
        ),
        "#edbb3f",
    )
    c.rect(x - 0.5 * s, y - 0.44 * s, x + 0.5 * s, y - 0.34 * s, "#6aa84a", radius=0.05 * s, shade="side")
    c.pie(Box(x - 0.46 * s, y - 0.84 * s, x + 0.46 * s, y - 0.0 * s), 180, 360, hue)
    for dx, dy in ((-0.22, -0.6), (-0.05, -0.72), (0.14, -0.66), (0.28, -0.54)):
        c.ellipse(x + dx * s - 2, y + dy * s - 1.5, x + dx * s + 2, y + dy * s + 1.5, "#f6e7c1")


def plate(c: Canvas, x: float, y: float, s: float) -> None:
    c.ellipse(x - 0.72 * s, y - 0.34 * s, x + 0.72 * s, y + 0.06 * s, "#e9e7e2", "#cfccc4", 1)
    c.ellipse(x - 0.52 * s, y - 0.28 * s, x + 0.52 * s, y - 0.01 * s, "#fbfaf7")


def pizza(c: Canvas, x: float, y: float, s: float, hue: str) -> None:
    c.ellipse(x - 0.86 * s, y - 0.52 * s, x + 0.86 * s, y + 0.06 * s, "#e9e7e2", "#cfccc4", 1)
    c.ellipse(x - 0.74 * s, y - 0.52 * s, x + 0.74 * s, y - 0.02 * s, "#c98d4b", shade="down")
    c.ellipse(x - 0.64 * s, y - 0.48 * s, x + 0.64 * s, y - 0.07 * s, "#f0c65a", shade="down")
    for dx, dy in ((-0.4, -0.3), (-0.12, -0.38), (0.2, -0.4), (0.42, -0.27), (0.1, -0.22), (-0.22, -0.18)):
        c.ellipse(
            x + (dx - 0.09) * s,
            y + (dy - 0.035) * s,
            x + (dx + 0.09) * s,
            y + (dy + 0.035) * s,
            hue,
            shade="ball",
        )


def soup(c: Canvas, x: float, y: float, s: float, hue: str) -> None:
    c.pie(Box(x - 0.6 * s, y - 1.0 * s, x + 0.6 * s, y), 0, 180, "#dfe4ea")
    c.ellipse(x - 0.6 * s, y - 0.68 * s, x + 0.6 * s, y - 0.32 * s, "#f1f3f5", "#b9c0c8", 1)
    c.ellipse(x - 0.5 * s, y - 0.63 * s, x + 0.5 * s, y - 0.36 * s, hue, shade="down")
    for dx, dy in ((-0.2, -0.5), (0.1, -0.54), (0.22, -0.46)):
        c.ellipse(x + dx * s - 3, y + dy * s - 2, x + dx * s + 3, y + dy * s + 2, "#4f8a3c")


def _turns(number: int) -> list[float]:
    return [2 * math.pi * at / number for at in range(number)]


THINGS: dict[str, tuple[Thing, str, float]] = {
    "apple": (apple, "red", 1.0),
    "pear": (pear, "green", 0.8),
    "lemon": (lemon, "yellow", 1.3),
    "egg": (egg, "white", 0.9),
    "cup": (cup, "blue", 1.15),
    "glass": (glass, "orange", 0.75),
    "bottle": (bottle, "green", 0.45),
    "book": (book, "purple", 0.4),
    "candle": (candle, "white", 0.4),
    "vase": (vase, "turquoise", 0.6),
    "gift": (gift, "pink", 1.0),
    "ball": (ball, "red", 1.0),
    "cupcake": (cupcake, "pink", 0.95),
    "balloon": (balloon, "red", 0.65),
    "hot-air balloon": (hot_air_balloon, "orange", 0.8),
    "kite": (kite, "blue", 0.7),
    "sailboat": (sailboat, "red", 1.05),
    "duck": (duck, "yellow", 1.45),
    "tent": (tent, "orange", 1.7),
    "umbrella": (umbrella, "red", 1.3),
    "house": (house, "red", 1.1),
    "tree": (tree, "green", 0.9),
    "fir": (fir, "green", 0.75),
    "car": (car, "blue", 2.1),
    "mushroom": (mushroom, "red", 1.0),
    "burger": (burger, "golden", 1.5),
    "pizza": (pizza, "red", 1.8),
    "soup": (soup, "orange", 1.3),
}
"""By name: how it is drawn, its usual colour, and its width as a share of its height."""
