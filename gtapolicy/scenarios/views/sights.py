"""Views of places that are drawn: coasts, mountains, rooms, and what can be found in them."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from gtapolicy.pictures.camera import CameraView, frontal_view
from gtapolicy.pictures.canvas import Box, Canvas
from gtapolicy.pictures.objects import COLORS, draw_object
from gtapolicy.pictures.settings import SKIES, draw_cloud, draw_hills, draw_surface

TIMES = {"noon": "around noon", "dusk": "at dusk", "dawn": "at dawn", "overcast": "under an overcast sky"}


@dataclass(frozen=True, slots=True)
class View:
    sentence: str
    keywords: str
    """The same without the time of day, for a new picture."""
    shot: CameraView
    parts: dict[str, Box]
    """What can be found in it, in pixels of the picture."""
    noun: str
    looks: dict[str, tuple[str, str]]
    """By part: a question about an attribute, and what the attribute is."""


def coast(rng: Random) -> View:
    canvas, time = blank(rng), rng.choice(sorted(SKIES))
    edge = canvas.height * 0.5
    canvas.gradient(0, 0, canvas.width, edge, *SKIES[time])
    sun(canvas, rng, time)
    for _ in range(2):
        draw_cloud(
            canvas, rng.uniform(0, canvas.width), rng.uniform(0.08, 0.3) * canvas.height, rng.uniform(30, 55)
        )
    canvas.gradient(0, edge, canvas.width, canvas.height, "#7fb0c6", "#2b607f")
    for _ in range(110):
        x, y = rng.uniform(0, canvas.width), rng.uniform(edge + 4, canvas.height)
        canvas.line([(x, y), (x + (y - edge) / 6 + 6, y)], "#ffffff28", 1.4)
    side, band = rng.choice((0.18, 0.8)), rng.choice(("red", "blue", "black", "green"))
    foot = canvas.width * side
    canvas.polygon(
        [(foot - 150, edge + 70), (foot - 60, edge - 18), (foot + 70, edge - 22), (foot + 150, edge + 70)],
        "#6f6a5c",
        "fade",
    )
    start = len(canvas.marks)
    _lighthouse(canvas, foot, edge - 16, canvas.height * 0.42, COLORS[band])
    tower = canvas.bounds_since(start)
    start = len(canvas.marks)
    sail = rng.choice(("red", "orange", "white", "purple"))
    draw_object(canvas, "sailboat", canvas.width * (1 - side), edge + 70, canvas.height * 0.24, COLORS[sail])
    boat = canvas.bounds_since(start)
    shot = frontal_view(canvas, rng)
    return View(
        f"A white lighthouse with {band} bands by the sea {TIMES[time]}, and a sailboat with a {sail} sail.",
        f"lighthouse with {band} bands, rocky coast, sailboat with {sail} sail",
        shot,
        {"lighthouse": shot.box(tower), "sailboat": shot.box(boat)},
        "coast",
        {"lighthouse": ("color of the bands", band), "sailboat": ("color of the sail", sail)},
    )


def _lighthouse(c: Canvas, x: float, y: float, s: float, hue: str) -> None:
    for row in range(5):
        low, high = 0.13 - 0.012 * row, 0.13 - 0.012 * (row + 1)
        points = [
            (x - low * s, y - row * 0.15 * s),
            (x - high * s, y - (row + 1) * 0.15 * s),
            (x + high * s, y - (row + 1) * 0.15 * s),
            (x + low * s, y - row * 0.15 * s),
        ]
        c.polygon(points, hue if row % 2 else "#f3f1ea", "cylinder")
    c.rect(x - 0.1 * s, y - 0.78 * s, x + 0.1 * s, y - 0.74 * s, "#33363b")
    c.rect(x - 0.055 * s, y - 0.9 * s, x + 0.055 * s, y - 0.77 * s, "#ffe9a0", "#33363b", 2)
    c.polygon(
        [(x - 0.085 * s, y - 0.89 * s), (x, y - s), (x + 0.085 * s, y - 0.89 * s)], "#33363b", "cylinder"
    )


def mountains(rng: Random) -> View:
    canvas, time = blank(rng), rng.choice(sorted(SKIES))
    canvas.gradient(0, 0, canvas.width, canvas.height, *SKIES[time])
    sun(canvas, rng, time)
    base = canvas.height * 0.66
    for peak in sorted(rng.sample(range(1, 10), 4), key=lambda at: abs(at - 5), reverse=True):
        x, tall = peak / 10 * canvas.width, rng.uniform(0.34, 0.56) * canvas.height
        wide = tall * rng.uniform(0.75, 1.0)
        canvas.polygon([(x, base - tall), (x + wide, base + 6), (x - wide, base + 6)], "#77808e", "cylinder")
        canvas.polygon([(x, base - tall), (x + wide, base + 6), (x + wide * 0.1, base + 6)], "#2a303c40")
        canvas.polygon(
            [
                (x, base - tall),
                (x + wide * 0.3, base - tall * 0.7),
                (x + wide * 0.1, base - tall * 0.76),
                (x - wide * 0.08, base - tall * 0.66),
                (x - wide * 0.3, base - tall * 0.7),
            ],
            "#f4f6f8",
        )
    draw_hills(canvas, rng, base + 12, 18, "#5f7f52")
    for _ in range(rng.randint(5, 9)):
        x, y = rng.uniform(0.02, 0.98) * canvas.width, rng.uniform(0.78, 0.9) * canvas.height
        draw_object(canvas, "fir", x, y, rng.uniform(46, 80), rng.choice(("#2f5b3a", "#3a6a41", "#274d36")))
    roof = rng.choice(("red", "blue", "brown"))
    x, y, start = rng.uniform(0.3, 0.7) * canvas.width, canvas.height * 0.93, len(canvas.marks)
    draw_object(canvas, "house", x, y, canvas.height * 0.24, COLORS[roof])
    shot = frontal_view(canvas, rng)
    return View(
        f"A cabin with a {roof} roof among fir trees before snowy mountains {TIMES[time]}.",
        f"cabin with {roof} roof, fir trees, snowy mountains",
        shot,
        {"cabin": shot.box(canvas.bounds_since(start))},
        "mountains",
        {"cabin": ("color of the roof", roof)},
    )


def village(rng: Random) -> View:
    canvas, time = blank(rng), rng.choice(("noon", "dawn", "overcast"))
    canvas.gradient(0, 0, canvas.width, canvas.height, *SKIES[time])
    draw_cloud(canvas, rng.uniform(60, 400), 50, 44)
    draw_cloud(canvas, rng.uniform(60, 400), 90, 32)
    edge = canvas.height * 0.55
    draw_hills(canvas, rng, edge + 20, 50, rng.choice(("#6d9160", "#86a05b", "#5e8a72")))
    draw_surface(canvas, Box(0, round(edge + 24), canvas.width, canvas.height), "grass", rng)
    x, y, s = rng.choice((0.22, 0.75)) * canvas.width, canvas.height * 0.8, canvas.height * 0.5
    cap, start = rng.choice(("red", "blue", "brown")), len(canvas.marks)
    canvas.polygon(
        [(x - 0.16 * s, y), (x - 0.1 * s, y - 0.66 * s), (x + 0.1 * s, y - 0.66 * s), (x + 0.16 * s, y)],
        "#efe8d8",
        "cylinder",
    )
    canvas.pie(Box(x - 0.12 * s, y - 0.8 * s, x + 0.12 * s, y - 0.54 * s), 180, 360, COLORS[cap])
    for dx, dy in ((1, 0.6), (-0.6, 1), (-1, -0.6), (0.6, -1)):
        canvas.line([(x, y - 0.64 * s), (x + 0.34 * s * dx, y - 0.64 * s + 0.34 * s * dy)], "#5d4630", 3)
        canvas.line(
            [
                (x + 0.05 * s * dx, y - 0.64 * s + 0.05 * s * dy),
                (x + 0.33 * s * dx, y - 0.64 * s + 0.33 * s * dy),
            ],
            "#f4efe2a0",
            11,
        )
    mill = canvas.bounds_since(start)
    for at in (0.38, 0.52) if x > canvas.width / 2 else (0.5, 0.66, 0.84):
        draw_object(
            canvas,
            "house",
            canvas.width * (at - 0.2 * (x > canvas.width / 2)),
            canvas.height * rng.uniform(0.74, 0.84),
            canvas.height * 0.2,
            COLORS[rng.choice(("red", "orange", "brown"))],
        )
    for _ in range(9):
        tulip_x, tulip_y = rng.uniform(0, canvas.width), rng.uniform(0.88, 0.98) * canvas.height
        canvas.disc(tulip_x, tulip_y, 5, COLORS[rng.choice(("red", "yellow", "pink"))], "sphere")
    shot = frontal_view(canvas, rng)
    return View(
        f"A windmill with a {cap} cap beside small houses on a meadow with flowers {TIMES[time]}.",
        f"windmill with {cap} cap, small houses, meadow with flowers",
        shot,
        {"windmill": shot.box(mill)},
        "village",
        {"windmill": ("color of the cap", cap)},
    )


def skyline(rng: Random) -> View:
    canvas, time = blank(rng), rng.choice(("dusk", "dawn", "overcast"))
    canvas.gradient(0, 0, canvas.width, canvas.height, *SKIES[time])
    sun(canvas, rng, time)
    base = canvas.height * 0.8
    for tone, tall in (("#6b7488", 0.42), ("#3e475b", 0.62)):
        x = -10.0
        while x < canvas.width:
            wide, high = rng.uniform(34, 74), rng.uniform(0.4, 1) * tall * canvas.height
            canvas.rect(x, base - high, x + wide, base, tone, shade="cylinder")
            for row in range(int(high // 16)):
                for column in range(int(wide // 13)):
                    if tone == "#3e475b" and rng.random() < 0.55:
                        canvas.rect(
                            x + 5 + column * 13,
                            base - high + 6 + row * 16,
                            x + 11 + column * 13,
                            base - high + 14 + row * 16,
                            rng.choice(("#ffd98a", "#ffe9b8", "#8fa6c8")),
                        )
            x += wide + rng.uniform(0, 6)
    canvas.gradient(0, base, canvas.width, canvas.height, "#4b5a74", "#27324a")
    for _ in range(60):
        x, y = rng.uniform(0, canvas.width), rng.uniform(base + 4, canvas.height)
        canvas.line([(x, y), (x + 18, y)], rng.choice(("#ffd98a50", "#ffffff22")), 1.5)
    colour, start = rng.choice(("red", "orange", "yellow", "turquoise")), len(canvas.marks)
    at = rng.uniform(0.2, 0.8) * canvas.width
    draw_object(canvas, "hot-air balloon", at, canvas.height * 0.36, canvas.height * 0.26, COLORS[colour])
    shot = frontal_view(canvas, rng)
    return View(
        f"A {colour} hot-air balloon over the skyline of a city by the water {TIMES[time]}.",
        f"{colour} hot-air balloon, city skyline, water",
        shot,
        {"hot-air balloon": shot.box(canvas.bounds_since(start))},
        "city",
        {"hot-air balloon": ("color", colour)},
    )


def desert(rng: Random) -> View:
    canvas, time = blank(rng), rng.choice(("noon", "dusk", "dawn"))
    canvas.gradient(0, 0, canvas.width, canvas.height, *SKIES[time])
    sun(canvas, rng, time)
    for share, tone in ((0.62, "#e3b778"), (0.74, "#d6a25f"), (0.88, "#c58d4a")):
        draw_hills(canvas, rng, canvas.height * share, 46, tone)
    for _ in range(3):
        x, y, s = (
            rng.uniform(0.05, 0.95) * canvas.width,
            canvas.height * rng.uniform(0.76, 0.9),
            rng.uniform(40, 70),
        )
        for dx, low, high in ((0, 0, 1), (-0.28, 0.35, 0.75), (0.28, 0.25, 0.65)):
            canvas.line([(x + dx * s, y - low * s), (x + dx * s, y - high * s)], "#4f7d46", 0.16 * s)
            canvas.line([(x, y - low * s), (x + dx * s, y - low * s)], "#4f7d46", 0.14 * s)
    colour, start = rng.choice(("orange", "blue", "green", "red", "white")), len(canvas.marks)
    x = rng.uniform(0.3, 0.7) * canvas.width
    canvas.shadow(x - 60, canvas.height * 0.9 - 8, x + 70, canvas.height * 0.9 + 10)
    start = len(canvas.marks)
    draw_object(canvas, "tent", x, canvas.height * 0.9, canvas.height * 0.2, COLORS[colour])
    shot = frontal_view(canvas, rng)
    return View(
        f"A {colour} tent and cacti among sand dunes {TIMES[time]}.",
        f"{colour} tent, cacti, sand dunes",
        shot,
        {"tent": shot.box(canvas.bounds_since(start))},
        "desert",
        {"tent": ("color", colour)},
    )


def blank(rng: Random) -> Canvas:
    """In one of several sizes."""
    return Canvas(rng.choice((480, 540, 600)), rng.choice((340, 370, 400)))


def sun(canvas: Canvas, rng: Random, time: str) -> None:
    if time != "overcast":
        x, y, r = (
            rng.uniform(0.15, 0.85) * canvas.width,
            rng.uniform(0.12, 0.3) * canvas.height,
            rng.uniform(16, 26),
        )
        for more in (2.2, 1.7, 1.3):
            canvas.disc(x, y, r * more, "#fff2c81c")
        canvas.disc(x, y, r, "#fff3c9" if time != "dusk" else "#ffd9a0")
