"""Drawn scenes of nature: coast, mountains, desert, beach, winter, space."""

import math
from random import Random

from gtapolicy.pictures.objects import COLORS, draw_object
from gtapolicy.pictures.pen import Box, Pen
from gtapolicy.pictures.settings import SKIES, draw_cloud, draw_hills, draw_sky
from gtapolicy.scenarios.scenes.scene import TIMES, Scene, blank_canvas, draw_sun, drawn_scene


def coast(rng: Random) -> Scene:
    canvas, time = blank_canvas(rng), rng.choice(sorted(SKIES))
    w, h = canvas.width, canvas.height
    horizon = h * 0.5
    draw_sky(canvas, time, horizon)
    draw_sun(canvas, rng, time)
    for _ in range(2):
        draw_cloud(canvas, rng.uniform(0, w), rng.uniform(0.08, 0.3) * h, rng.uniform(30, 55))
    canvas.gradient(0, horizon, w, h, "#7fb0c6", "#2b607f")
    for _ in range(110):
        x, y = rng.uniform(0, w), rng.uniform(horizon + 4, h)
        # Near waves are longer.
        canvas.line([(x, y), (x + (y - horizon) / 6 + 6, y)], "#ffffff28", 1.4)
    side, band = rng.choice((0.18, 0.8)), rng.choice(("red", "blue", "black", "green"))
    rock = [(-150, 70), (-60, -18), (70, -22), (150, 70)]
    canvas.at(w * side, horizon).polygon(rock, "#6f6a5c", "fade")
    lighthouse = _draw_lighthouse(canvas.at(w * side, horizon - 16, h * 0.42), COLORS[band])
    sail = rng.choice(("red", "orange", "white", "purple"))
    sailboat = draw_object(canvas, "sailboat", w * (1 - side), horizon + 70, h * 0.24, sail)
    values = {"band": band, "sail": sail, "time": TIMES[time]}
    return drawn_scene(canvas, rng, "coast", values, {"lighthouse": lighthouse, "sailboat": sailboat})


def _draw_lighthouse(pen: Pen, color: str) -> Box:
    start = len(pen.marks)
    for row in range(5):
        # The tower narrows upward.
        half, upper_half = 0.13 - 0.012 * row, 0.13 - 0.012 * (row + 1)
        low, high = -row * 0.15, -(row + 1) * 0.15
        band = [(-half, low), (-upper_half, high), (upper_half, high), (half, low)]
        pen.polygon(band, color if row % 2 else "#f3f1ea", "cylinder")
    pen.rect(-0.1, -0.78, 0.1, -0.74, "#33363b")
    pen.rect(-0.055, -0.9, 0.055, -0.77, "#ffe9a0", outline="#33363b", outline_width=2)
    pen.polygon([(-0.085, -0.89), (0, -1), (0.085, -0.89)], "#33363b", "cylinder")
    return pen.bounds_since(start)


def mountains(rng: Random) -> Scene:
    canvas, time = blank_canvas(rng), rng.choice(sorted(SKIES))
    w, h = canvas.width, canvas.height
    draw_sky(canvas, time, h)
    draw_sun(canvas, rng, time)
    base = h * 0.66
    # Drawn from the sides to the middle, so that the middle peaks are in front.
    for peak in sorted(rng.sample(range(1, 10), 4), key=lambda at: abs(at - 5), reverse=True):
        x, tall = peak / 10 * w, rng.uniform(0.34, 0.56) * h
        half = tall * rng.uniform(0.75, 1.0)
        top, right = (x, base - tall), (x + half, base + 6)
        canvas.polygon([top, right, (x - half, base + 6)], "#77808e", "cylinder")
        canvas.polygon([top, right, (x + half * 0.1, base + 6)], "#2a303c40")
        snow = ((0.3, 0.7), (0.1, 0.76), (-0.08, 0.66), (-0.3, 0.7))
        canvas.polygon([top, *((x + half * dx, base - tall * dy) for dx, dy in snow)], "#f4f6f8")
    draw_hills(canvas, rng, base + 12, 18, "#5f7f52")
    for _ in range(rng.randint(5, 9)):
        x, y, tall = rng.uniform(0.02, 0.98) * w, rng.uniform(0.78, 0.9) * h, rng.uniform(46, 80)
        draw_object(canvas, "fir", x, y, tall, rng.choice(("#2f5b3a", "#3a6a41", "#274d36")))
    roof = rng.choice(("red", "blue", "brown"))
    cabin = draw_object(canvas, "house", rng.uniform(0.3, 0.7) * w, h * 0.93, h * 0.24, roof)
    return drawn_scene(canvas, rng, "mountains", {"roof": roof, "time": TIMES[time]}, {"cabin": cabin})


def desert(rng: Random) -> Scene:
    canvas, time = blank_canvas(rng), rng.choice(("noon", "dusk", "dawn"))
    w, h = canvas.width, canvas.height
    draw_sky(canvas, time, h)
    draw_sun(canvas, rng, time)
    for share, tone in ((0.62, "#e3b778"), (0.74, "#d6a25f"), (0.88, "#c58d4a")):
        draw_hills(canvas, rng, h * share, 46, tone)
    for _ in range(3):
        pen = canvas.at(rng.uniform(0.05, 0.95) * w, h * rng.uniform(0.76, 0.9), rng.uniform(40, 70))
        # A cactus: the stem, and an arm at each side.
        for x, low, high in ((0, 0, 1), (-0.28, 0.35, 0.75), (0.28, 0.25, 0.65)):
            pen.line([(x, -low), (x, -high)], "#4f7d46", 0.16)
            pen.line([(0, -low), (x, -low)], "#4f7d46", 0.14)
    color, x = rng.choice(("orange", "blue", "green", "red", "white")), rng.uniform(0.3, 0.7) * w
    canvas.shadow(x - 60, h * 0.9 - 8, x + 70, h * 0.9 + 10)
    tent = draw_object(canvas, "tent", x, h * 0.9, h * 0.2, color)
    return drawn_scene(canvas, rng, "desert", {"color": color, "time": TIMES[time]}, {"tent": tent})


def beach(rng: Random) -> Scene:
    canvas, time = blank_canvas(rng), rng.choice(("noon", "dusk", "dawn"))
    w, h = canvas.width, canvas.height
    draw_sky(canvas, time, 0.42 * h)
    draw_sun(canvas, rng, time)
    draw_cloud(canvas, rng.uniform(0, w), 0.12 * h, 44)
    canvas.gradient(0, 0.42 * h, w, 0.66 * h, "#4f9ab0", "#9fd3d3")
    shore = [(w * t / 30, h * 0.63 + 8 * math.sin(t * 0.7 + rng.uniform(0, 0.4))) for t in range(31)]
    canvas.polygon([*shore, (w, h), (0, h)], "#e8d3a0", "fade")
    canvas.line(shore, "#ffffffb0", 5)
    for _ in range(160):
        canvas.disc(rng.uniform(0, w), rng.uniform(0.68, 1) * h, 1.2, "#a8875050")
    color, other = rng.sample(("red", "blue", "green", "yellow", "purple", "orange"), 2)
    x = rng.uniform(0.25, 0.45) * w
    canvas.shadow(x - 20, 0.86 * h, x + 130, 0.91 * h, 0.3)
    umbrella = draw_object(canvas, "umbrella", x, 0.88 * h, 0.42 * h, color)
    towel = [(x + 16, 0.93 * h), (x + 100, 0.93 * h), (x + 120, 0.87 * h), (x + 40, 0.87 * h)]
    canvas.polygon(towel, COLORS[other], "fade")
    x = rng.uniform(0.7, 0.9) * w
    canvas.shadow(x - 24, 0.9 * h - 6, x + 34, 0.9 * h + 7)
    ball = draw_object(canvas, "ball", x, 0.9 * h, 0.13 * h, other)
    values = {"umbrella": color, "ball": other, "time": TIMES[time]}
    return drawn_scene(canvas, rng, "beach", values, {"umbrella": umbrella, "ball": ball})


def winter(rng: Random) -> Scene:
    canvas, time = blank_canvas(rng), rng.choice(("dusk", "overcast", "dawn"))
    w, h = canvas.width, canvas.height
    draw_sky(canvas, time, h)
    for share, tone in ((0.5, "#c4cedc"), (0.62, "#dde4ec"), (0.78, "#f2f5f8")):
        draw_hills(canvas, rng, share * h, 40, tone)
        for _ in range(4):
            x, y = rng.uniform(0, w), (share + 0.05) * h
            draw_object(canvas, "fir", x, y, 30 + 80 * (share - 0.4), "#44685a")
    scarf, x = rng.choice(("red", "blue", "green", "purple", "orange")), rng.uniform(0.3, 0.7) * w
    canvas.shadow(x - 50, 0.92 * h - 10, x + 70, 0.92 * h + 10, 0.25)
    snowman = _draw_snowman(canvas.at(x, 0.92 * h, 0.42 * h), COLORS[scarf])
    for _ in range(70):
        canvas.disc(rng.uniform(0, w), rng.uniform(0, h), rng.uniform(1, 2.6), "#ffffffd0")
    return drawn_scene(canvas, rng, "winter", {"scarf": scarf, "time": TIMES[time]}, {"snowman": snowman})


def _draw_snowman(pen: Pen, scarf: str) -> Box:
    start = len(pen.marks)
    for low, r in ((0, 0.25), (0.42, 0.19), (0.72, 0.14)):
        pen.disc(0, -(low + r), r, "#f4f6f8", "sphere")
    pen.in_pixels.rect(*pen.box(-0.15, -0.76, 0.15, -0.69), scarf, radius=4, shade="cylinder")
    pen.in_pixels.rect(*pen.box(0.05, -0.72, 0.12, -0.52), scarf, radius=3, shade="cylinder")
    for eye_x in (-0.05, 0.05):
        pen.disc(eye_x, -0.9, 0.018, "#1c1c1e")
    pen.polygon([(0, -0.86), (0.16, -0.83), (0, -0.81)], "#e8832b", "fade")
    pen.rect(-0.17, -1, 0.17, -0.96, "#26262b")
    pen.rect(-0.1, -1.17, 0.1, -0.98, "#26262b", shade="cylinder")
    return pen.bounds_since(start)


def space(rng: Random) -> Scene:
    canvas = blank_canvas(rng)
    w, h = canvas.width, canvas.height
    canvas.gradient(0, 0, w, h, "#0b1030", rng.choice(("#2a1a44", "#10283e", "#331a2e")))
    for _ in range(170):
        x, y, r = rng.uniform(0, w), rng.uniform(0, h), rng.choice((0.7, 0.9, 1.5))
        canvas.disc(x, y, r, rng.choice(("#ffffff", "#ffe9c0", "#bcd4ff")))
    color, fins = rng.sample(("red", "orange", "turquoise", "purple", "green", "yellow"), 2)
    x, y, r = rng.uniform(0.25, 0.4) * w, rng.uniform(0.35, 0.6) * h, rng.uniform(0.17, 0.24) * h
    start = len(canvas.marks)
    ring = Box(x - 1.75 * r, y - 0.5 * r, x + 1.75 * r, y + 0.5 * r)
    # The planet hides the back half of the ring, and the front half hides the planet.
    canvas.arc(ring, 180, 360, "#d9c9a0", 6)
    canvas.disc(x, y, r, COLORS[color], "sphere")
    canvas.arc(ring, 0, 180, "#d9c9a0", 6)
    planet = canvas.bounds_since(start)
    x, y = rng.uniform(0.7, 0.85) * w, rng.uniform(0.6, 0.8) * h
    rocket = _draw_rocket(canvas.at(x, y, 0.5 * h), COLORS[fins])
    values = {"fins": fins, "planet": color}
    return drawn_scene(canvas, rng, "space", values, {"rocket": rocket, "planet": planet})


def _draw_rocket(pen: Pen, fins: str) -> Box:
    start = len(pen.marks)
    pen.polygon([(-0.07, 0), (0.07, 0), (0, 0.3)], "#f7b733")
    pen.polygon([(-0.04, 0), (0.04, 0), (0, 0.17)], "#fff3c4")
    for side in (-1, 1):
        pen.polygon([(side * 0.1, -0.24), (side * 0.22, 0.02), (side * 0.1, 0)], fins, "fade")
    # The nose is half an ellipse, drawn from the right over the top to the left.
    angles = [math.pi * step / 24 for step in range(25)]
    nose = [(0.12 * math.cos(t), -0.3 - 0.5 * math.sin(t)) for t in angles]
    pen.polygon([*nose, (-0.12, 0), (0.12, 0)], "#eceae4", "cylinder")
    pen.disc(0, -0.42, 0.06, "#5a6b7c", "sphere")
    return pen.bounds_since(start)
