"""Objects that can be counted, found and described.

Each function draws one object in a given color. The pen's origin is the middle of the object's base; the
top of the object is at about (0, -1).
"""

import math
from collections.abc import Callable
from dataclasses import dataclass

from gtapolicy.pictures.pen import Box, Pen
from gtapolicy.pictures.shading import Point

# The colors that queries and answers name.
COLORS = {
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


def _angles(number: int) -> list[float]:
    """`number` equally spaced angles around a circle, in radians."""
    return [2 * math.pi * step / number for step in range(number)]


def apple(pen: Pen, color: str) -> None:
    pen.ellipse(-0.4536, -0.84, 0.4536, 0, color, shade="sphere")
    pen.line([(0, -0.777), (0.05, -1)], "#5a3d22", 0.05)
    pen.polygon([(0.04, -0.92), (0.2, -1.02), (0.3, -0.92), (0.15, -0.86)], "#5f9a3c", "fade")


def _egg_shape(half_width: float, taper: float, half_height: float) -> list[Point]:
    """The outline of an egg. A larger taper makes the bottom wider."""
    return [
        (half_width * math.sin(t) * (1 + taper * math.cos(t)), -half_height + half_height * math.cos(t))
        for t in _angles(48)
    ]


def pear(pen: Pen, color: str) -> None:
    pen.line([(0, -0.85), (0.04, -1)], "#5a3d22", 0.05)
    pen.polygon(_egg_shape(0.34, 0.32, 0.45), color, "sphere")


def lemon(pen: Pen, color: str) -> None:
    ends = [(-0.62, -0.4), (-0.4, -0.55), (0.4, -0.55), (0.62, -0.4), (0.4, -0.22), (-0.4, -0.22)]
    pen.polygon(ends, color)
    pen.ellipse(-0.5, -0.78, 0.5, 0, color, shade="sphere")


def egg(pen: Pen, color: str) -> None:
    pen.polygon(_egg_shape(0.36, 0.14, 0.48), color, "sphere")


def cup(pen: Pen, color: str) -> None:
    pen.arc((0.2, -0.78, 0.66, -0.22), -110, 110, color, 0.1)
    pen.rect(-0.4, -0.9, 0.4, 0, color, radius=0.12, shade="cylinder")
    pen.ellipse(-0.4, -1, 0.4, -0.78, color, shade="fade")
    pen.ellipse(-0.33, -0.97, 0.33, -0.81, "#4a2c1a")


def glass(pen: Pen, color: str) -> None:
    pen.polygon([(-0.3, -1), (0.3, -1), (0.22, 0), (-0.22, 0)], "#dfe9ee90")
    filling = [(-0.275, -0.78), (0.275, -0.78), (0.21, -0.04), (-0.21, -0.04)]
    pen.polygon(filling, color + "e0", "cylinder")
    pen.ellipse(-0.275, -0.83, 0.275, -0.73, color, shade="fade")
    pen.ellipse(-0.3, -1.05, 0.3, -0.95, "", outline="#ffffffb0", outline_width=1.4)
    pen.line([(-0.2, -0.9), (-0.15, -0.15)], "#ffffff70", 0.05)


def bottle(pen: Pen, color: str) -> None:
    pen.rect(-0.16, -0.66, 0.16, 0, color, radius=0.05, shade="cylinder")
    pen.polygon([(-0.16, -0.62), (-0.06, -0.8), (0.06, -0.8), (0.16, -0.62)], color, "cylinder")
    pen.rect(-0.06, -0.97, 0.06, -0.76, color, shade="cylinder")
    pen.rect(-0.07, -1, 0.07, -0.93, "#c9b27a", shade="cylinder")
    pen.rect(-0.16, -0.46, 0.16, -0.2, "#f3ecd8", shade="cylinder")


def book(pen: Pen, color: str) -> None:
    """An upright book, seen from its spine."""
    pen.rect(-0.15, -1, 0.15, 0, color, radius=0.02, shade="cylinder")
    for height in (0.86, 0.8, 0.16):
        pen.line([(-0.13, -height), (0.13, -height)], "#f2e3b3", 0.02)
    pen.rect(-0.08, -0.7, 0.08, -0.34, "#f6efdc", shade="cylinder")


def candle(pen: Pen, color: str) -> None:
    pen.rect(-0.15, -0.74, 0.15, 0, color, shade="cylinder")
    pen.ellipse(-0.15, -0.79, 0.15, -0.69, color, shade="fade")
    pen.line([(0, -0.74), (0, -0.82)], "#3a2d22", 0.025)
    pen.polygon([(0, -1.04), (0.07, -0.88), (0.04, -0.8), (-0.04, -0.8), (-0.07, -0.88)], "#f7b733")
    pen.ellipse(-0.03, -0.9, 0.03, -0.8, "#fff3c4")


def vase(pen: Pen, color: str) -> None:
    """A vase with three flowers."""
    for x, y, petal in ((-0.2, -0.86, "#e8a0bd"), (0.18, -0.82, "#f0d264"), (0.0, -0.94, "#d9614f")):
        pen.line([(0, -0.4), (x, y)], "#4b7d3c", 0.03)
        for t in _angles(6):
            pen.disc(x + 0.06 * math.cos(t), y + 0.06 * math.sin(t), 0.05, petal, "sphere")
        pen.disc(x, y, 0.045, "#7a4a1e", "sphere")
    right = [(0.1, -0.52), (0.09, -0.44), (0.19, -0.26), (0.17, -0.08), (0.11, 0)]
    pen.polygon([(-0.1, -0.52), *right, *((-x, y) for x, y in reversed(right[1:]))], color, "cylinder")


def gift(pen: Pen, color: str) -> None:
    pen.rect(-0.42, -0.62, 0.42, 0, color, shade="fade")
    pen.rect(-0.46, -0.78, 0.46, -0.6, color, shade="cylinder")
    ribbon = "#f4e9c8"
    pen.rect(-0.07, -0.78, 0.07, 0, ribbon, shade="cylinder")
    for side in (-1, 1):
        pen.polygon([(0, -0.78), (side * 0.26, -0.98), (side * 0.3, -0.8)], ribbon, "fade")


def ball(pen: Pen, color: str) -> None:
    pen.disc(0, -0.5, 0.5, color, "sphere")
    pen.arc((-0.22, -1, 0.22, 0), 90, 270, "#ffffffb0", 0.04)
    pen.arc((-0.5, -0.66, 0.5, -0.34), 0, 180, "#ffffffb0", 0.04)


def cupcake(pen: Pen, color: str) -> None:
    pen.polygon([(-0.36, -0.46), (0.36, -0.46), (0.26, 0), (-0.26, 0)], "#c99a5b", "cylinder")
    for fold in range(-3, 4):
        pen.line([(fold * 0.1, -0.46), (fold * 0.075, 0)], "#a87a40", 0.02)
    for wide, low in ((0.44, 0.4), (0.33, 0.58), (0.2, 0.74)):
        pen.ellipse(-wide, -(low + 0.24), wide, -low, color, shade="sphere")
    pen.disc(0, -0.98, 0.08, "#c8372d", "sphere")


def balloon(pen: Pen, color: str) -> None:
    string = [(0.03 * math.sin(t * 2.2), -0.32 + t * 0.05) for t in range(7)]
    pen.in_pixels.line(pen.points(string), "#7d7d7d", 1.2)
    pen.polygon([(0, -0.36), (0.05, -0.29), (-0.05, -0.29)], color)
    pen.ellipse(-0.29, -1, 0.29, -0.32, color, shade="sphere")


def hot_air_balloon(pen: Pen, color: str) -> None:
    pen.polygon([(-0.3, -0.5), (0.3, -0.5), (0.09, -0.22), (-0.09, -0.22)], color, "cylinder")
    pen.ellipse(-0.37, -1, 0.37, -0.34, color, shade="sphere")
    pen.ellipse(-0.13, -1, 0.13, -0.34, "#f6ecd0d0", shade="cylinder")
    for side in (-1, 1):
        rope = pen.points([(side * 0.09, -0.24), (side * 0.07, -0.13)])
        pen.in_pixels.line(rope, "#4d3a28", 1.2)
    pen.rect(-0.08, -0.13, 0.08, 0, "#8a5a30", radius=0.02, shade="cylinder")


def kite(pen: Pen, color: str) -> None:
    tail = [(0.1 * math.sin(t), -0.35 + t * 0.055) for t in range(7)]
    pen.in_pixels.line(pen.points(tail), "#6b6b6b", 1.4)
    pen.polygon([(0, -1), (0.3, -0.7), (0, -0.32), (-0.3, -0.7)], color, "fade")
    pen.polygon([(0, -1), (0.3, -0.7), (0, -0.7)], "#ffffff55")
    pen.polygon([(0, -0.32), (-0.3, -0.7), (0, -0.7)], "#00000030")


def sailboat(pen: Pen, color: str) -> None:
    pen.line([(0, -0.15), (0, -1)], "#5b4630", 0.03)
    pen.polygon([(0.03, -0.98), (0.4, -0.24), (0.03, -0.24)], color, "cylinder")
    pen.polygon([(-0.03, -0.88), (-0.3, -0.24), (-0.03, -0.24)], "#f4f1e8", "cylinder")
    pen.polygon([(-0.46, -0.19), (0.5, -0.19), (0.34, 0), (-0.34, 0)], "#7b4a2a", "fade")
    pen.ellipse(-0.42, -0.01, 0.42, 0.07, "#ffffff60")


def duck(pen: Pen, color: str) -> None:
    pen.polygon([(-0.62, -0.56), (-0.3, -0.42), (-0.4, -0.2)], color, "fade")
    pen.ellipse(-0.5, -0.56, 0.42, 0, color, shade="sphere")
    pen.ellipse(-0.32, -0.44, 0.14, -0.14, "#00000022")
    pen.polygon([(0.54, -0.76), (0.8, -0.66), (0.54, -0.6)], "#e8912c", "fade")
    pen.disc(0.36, -0.72, 0.24, color, "sphere")
    pen.disc(0.42, -0.78, 0.045, "#1a1a1a")


def tent(pen: Pen, color: str) -> None:
    flank = [(0.1, -1), (0.95, -0.2), (0.62, 0)]
    pen.polygon(flank, color, "fade")
    pen.polygon([(0.1, -1), (0.62, 0), (-0.62, 0)], color, "cylinder")
    pen.polygon(flank, "#00000038")
    pen.polygon([(0.07, -0.78), (0.22, 0), (-0.2, 0)], "#2a241e")


def umbrella(pen: Pen, color: str) -> None:
    pen.line([(0, 0), (0, -0.9)], "#d8c9a8", 0.04)
    pen.pie((-0.62, -1, 0.62, -0.1), 180, 360, color)
    for left, right in ((-0.38, -0.14), (0.14, 0.38)):
        pen.polygon([(0, -1), (right, -0.55), (left, -0.55)], "#ffffffc0")
    pen.disc(0, -1, 0.04, "#8a6a3a")


def house(pen: Pen, color: str) -> None:
    pen.rect(-0.4, -0.58, 0.4, 0, "#efe4d0", shade="cylinder")
    pen.rect(0.18, -0.98, 0.3, -0.7, "#8d5a44", shade="cylinder")
    pen.polygon([(0, -1), (0.52, -0.55), (-0.52, -0.55)], color, "fade")
    pen.rect(-0.1, -0.34, 0.1, 0, "#6b4428", shade="fade")
    for x in (-0.27, 0.27):
        pen.at(x, 0).rect(-0.08, -0.44, 0.08, -0.26, "#9cc4dc", outline="#ffffff", outline_width=1.5)


def tree(pen: Pen, color: str) -> None:
    pen.rect(-0.06, -0.4, 0.06, 0, "#6b4a2e", shade="cylinder")
    for x, y, r in ((-0.2, -0.5, 0.22), (0.2, -0.5, 0.22), (0, -0.72, 0.28), (0, -0.5, 0.24)):
        pen.disc(x, y, r, color, "sphere")


def fir(pen: Pen, color: str) -> None:
    pen.rect(-0.05, -0.15, 0.05, 0, "#5d4029", shade="cylinder")
    for low, high, wide in ((0.12, 0.55, 0.34), (0.36, 0.78, 0.27), (0.6, 1.0, 0.19)):
        pen.polygon([(0, -high), (wide, -low), (-wide, -low)], color, "cylinder")


def car(pen: Pen, color: str) -> None:
    pen.polygon([(-0.55, -0.62), (-0.3, -1), (0.35, -1), (0.65, -0.62)], color, "fade")
    pen.polygon([(-0.43, -0.63), (-0.25, -0.92), (-0.01, -0.92), (-0.01, -0.63)], "#bcd7e6", "fade")
    pen.polygon([(0.06, -0.63), (0.06, -0.92), (0.31, -0.92), (0.5, -0.63)], "#bcd7e6", "fade")
    pen.rect(-1, -0.64, 1, -0.18, color, radius=0.16, shade="fade")
    for x in (-0.58, 0.58):
        pen.disc(x, -0.2, 0.2, "#222326", "sphere")
        pen.disc(x, -0.2, 0.09, "#c9ccd0", "sphere")
    pen.ellipse(0.88, -0.54, 0.99, -0.4, "#fdf3c0")


def mushroom(pen: Pen, color: str) -> None:
    pen.rect(-0.14, -0.55, 0.14, 0, "#efe6d2", radius=0.08, shade="cylinder")
    pen.pie((-0.46, -1, 0.46, -0.08), 180, 360, color)
    for x, y in ((-0.22, -0.68), (0.05, -0.82), (0.24, -0.64)):
        pen.ellipse(x - 0.07, y - 0.055, x + 0.07, y + 0.055, "#fbf5e8")


def burger(pen: Pen, color: str) -> None:
    """A burger on a plate; the color is used for the bun."""
    pen.ellipse(-0.72, -0.34, 0.72, 0.06, "#e9e7e2", outline="#cfccc4", outline_width=1)
    pen.ellipse(-0.52, -0.28, 0.52, -0.01, "#fbfaf7")
    pen = pen.at(0, -0.14)
    pen.rect(-0.44, -0.22, 0.44, 0, color, radius=0.1, shade="cylinder")
    pen.rect(-0.47, -0.36, 0.47, -0.18, "#5d3621", radius=0.09, shade="cylinder")
    cheese = [(-0.5, -0.34), (0.5, -0.34), (0.36, -0.24), (0.2, -0.34), (0, -0.22), (-0.25, -0.33)]
    pen.polygon(cheese, "#edbb3f")
    pen.rect(-0.5, -0.44, 0.5, -0.34, "#6aa84a", radius=0.05, shade="cylinder")
    pen.pie((-0.46, -0.84, 0.46, 0), 180, 360, color)
    for x, y in pen.points([(-0.22, -0.6), (-0.05, -0.72), (0.14, -0.66), (0.28, -0.54)]):
        pen.in_pixels.ellipse(x - 2, y - 1.5, x + 2, y + 1.5, "#f6e7c1")


def pizza(pen: Pen, color: str) -> None:
    """A pizza on a plate; the color is used for the salami."""
    pen.ellipse(-0.86, -0.52, 0.86, 0.06, "#e9e7e2", outline="#cfccc4", outline_width=1)
    pen.ellipse(-0.74, -0.52, 0.74, -0.02, "#c98d4b", shade="fade")
    pen.ellipse(-0.64, -0.48, 0.64, -0.07, "#f0c65a", shade="fade")
    for x, y in ((-0.4, -0.3), (-0.12, -0.38), (0.2, -0.4), (0.42, -0.27), (0.1, -0.22), (-0.22, -0.18)):
        pen.ellipse(x - 0.09, y - 0.035, x + 0.09, y + 0.035, color, shade="sphere")


def soup(pen: Pen, color: str) -> None:
    pen.pie((-0.6, -1, 0.6, 0), 0, 180, "#dfe4ea")
    pen.ellipse(-0.6, -0.68, 0.6, -0.32, "#f1f3f5", outline="#b9c0c8", outline_width=1)
    pen.ellipse(-0.5, -0.63, 0.5, -0.36, color, shade="fade")
    for x, y in pen.points([(-0.2, -0.5), (0.1, -0.54), (0.22, -0.46)]):
        pen.in_pixels.ellipse(x - 3, y - 2, x + 3, y + 2, "#4f8a3c")


@dataclass(frozen=True, slots=True)
class ObjectKind:
    draw: Callable[[Pen, str], None]
    # Width divided by height.
    aspect: float


OBJECTS = {
    "apple": ObjectKind(apple, 1.0),
    "pear": ObjectKind(pear, 0.8),
    "lemon": ObjectKind(lemon, 1.3),
    "egg": ObjectKind(egg, 0.9),
    "cup": ObjectKind(cup, 1.15),
    "glass": ObjectKind(glass, 0.75),
    "bottle": ObjectKind(bottle, 0.45),
    "book": ObjectKind(book, 0.4),
    "candle": ObjectKind(candle, 0.4),
    "vase": ObjectKind(vase, 0.6),
    "gift": ObjectKind(gift, 1.0),
    "ball": ObjectKind(ball, 1.0),
    "cupcake": ObjectKind(cupcake, 0.95),
    "balloon": ObjectKind(balloon, 0.65),
    "hot-air balloon": ObjectKind(hot_air_balloon, 0.8),
    "kite": ObjectKind(kite, 0.7),
    "sailboat": ObjectKind(sailboat, 1.05),
    "duck": ObjectKind(duck, 1.45),
    "tent": ObjectKind(tent, 1.7),
    "umbrella": ObjectKind(umbrella, 1.3),
    "house": ObjectKind(house, 1.1),
    "tree": ObjectKind(tree, 0.9),
    "fir": ObjectKind(fir, 0.75),
    "car": ObjectKind(car, 2.1),
    "mushroom": ObjectKind(mushroom, 1.0),
    "burger": ObjectKind(burger, 1.5),
    "pizza": ObjectKind(pizza, 1.8),
    "soup": ObjectKind(soup, 1.3),
}


def draw_object(pen: Pen, name: str, x: float, y: float, height: float, color: str) -> Box:
    """Draws an object of OBJECTS with its base at (x, y), and returns its box.

    `color` is a name from COLORS or any color that Pillow can parse.
    """
    start = len(pen.marks)
    OBJECTS[name].draw(pen.at(x, y, height), COLORS.get(color, color))
    return pen.bounds_since(start)
