"""More views that are drawn: beach, winter, a living room, space, a garden."""

from __future__ import annotations

import math
from random import Random

from gtapolicy.pictures.camera import frontal_view
from gtapolicy.pictures.canvas import Box
from gtapolicy.pictures.objects import COLORS, draw_object
from gtapolicy.pictures.settings import SKIES, draw_cloud, draw_hills, draw_surface
from gtapolicy.scenarios.views.sights import TIMES, View, blank, sun


def beach(rng: Random) -> View:
    canvas, time = blank(rng), rng.choice(("noon", "dusk", "dawn"))
    w, h = canvas.width, canvas.height
    canvas.gradient(0, 0, w, 0.42 * h, *SKIES[time])
    sun(canvas, rng, time)
    draw_cloud(canvas, rng.uniform(0, w), 0.12 * h, 44)
    canvas.gradient(0, 0.42 * h, w, 0.66 * h, "#4f9ab0", "#9fd3d3")
    shore = [(w * t / 30, h * 0.63 + 8 * math.sin(t * 0.7 + rng.uniform(0, 0.4))) for t in range(31)]
    canvas.polygon([*shore, (w, h), (0, h)], "#e8d3a0", "fade")
    canvas.line(shore, "#ffffffb0", 5)
    for _ in range(160):
        canvas.disc(rng.uniform(0, w), rng.uniform(0.68, 1) * h, 1.2, "#a8875050")
    colour, other = rng.sample(("red", "blue", "green", "yellow", "purple", "orange"), 2)
    x = rng.uniform(0.25, 0.45) * w
    canvas.shadow(x - 20, 0.86 * h, x + 130, 0.91 * h, 0.3)
    start = len(canvas.marks)
    draw_object(canvas, "umbrella", x, 0.88 * h, 0.42 * h, COLORS[colour])
    shade = canvas.bounds_since(start)
    canvas.polygon(
        [(x + 16, 0.93 * h), (x + 100, 0.93 * h), (x + 120, 0.87 * h), (x + 40, 0.87 * h)],
        COLORS[other],
        "fade",
    )
    ball_x = rng.uniform(0.7, 0.9) * w
    canvas.shadow(ball_x - 24, 0.9 * h - 6, ball_x + 34, 0.9 * h + 7)
    start = len(canvas.marks)
    draw_object(canvas, "ball", ball_x, 0.9 * h, 0.13 * h, COLORS[other])
    shot = frontal_view(canvas, rng)
    return View(
        f"A {colour} and white umbrella and a {other} ball on a sandy beach {TIMES[time]}.",
        f"{colour} and white umbrella, {other} ball, sandy beach",
        shot,
        {"umbrella": shot.box(shade), "ball": shot.box(canvas.bounds_since(start))},
        "beach",
        {"umbrella": ("colors", f"{colour} and white"), "ball": ("color", other)},
    )


def winter(rng: Random) -> View:
    canvas, time = blank(rng), rng.choice(("dusk", "overcast", "dawn"))
    w, h = canvas.width, canvas.height
    canvas.gradient(0, 0, w, h, *SKIES[time])
    for share, tone in ((0.5, "#c4cedc"), (0.62, "#dde4ec"), (0.78, "#f2f5f8")):
        draw_hills(canvas, rng, share * h, 40, tone)
        for _ in range(4):
            x, y = rng.uniform(0, w), (share + 0.05) * h
            draw_object(canvas, "fir", x, y, 30 + 80 * (share - 0.4), "#44685a")
    scarf, x, y = (
        rng.choice(("red", "blue", "green", "purple", "orange")),
        rng.uniform(0.3, 0.7) * w,
        0.92 * h,
    )
    canvas.shadow(x - 50, y - 10, x + 70, y + 10, 0.25)
    start, s = len(canvas.marks), 0.42 * h
    for low, r in ((0, 0.25), (0.42, 0.19), (0.72, 0.14)):
        canvas.disc(x, y - (low + r) * s, r * s, "#f4f6f8", "sphere")
    canvas.rect(
        x - 0.15 * s, y - 0.76 * s, x + 0.15 * s, y - 0.69 * s, COLORS[scarf], radius=4, shade="cylinder"
    )
    canvas.rect(
        x + 0.05 * s, y - 0.72 * s, x + 0.12 * s, y - 0.52 * s, COLORS[scarf], radius=3, shade="cylinder"
    )
    for side in (-0.05, 0.05):
        canvas.disc(x + side * s, y - 0.9 * s, 0.018 * s, "#1c1c1e")
    canvas.polygon([(x, y - 0.86 * s), (x + 0.16 * s, y - 0.83 * s), (x, y - 0.81 * s)], "#e8832b", "fade")
    canvas.rect(x - 0.17 * s, y - 1.0 * s, x + 0.17 * s, y - 0.96 * s, "#26262b")
    canvas.rect(x - 0.1 * s, y - 1.17 * s, x + 0.1 * s, y - 0.98 * s, "#26262b", shade="cylinder")
    man = canvas.bounds_since(start)
    for _ in range(70):
        canvas.disc(rng.uniform(0, w), rng.uniform(0, h), rng.uniform(1, 2.6), "#ffffffd0")
    shot = frontal_view(canvas, rng)
    return View(
        f"A snowman with a {scarf} scarf and a black hat in falling snow {TIMES[time]}.",
        f"snowman with {scarf} scarf, black hat, snowy hills, fir trees",
        shot,
        {"snowman": shot.box(man)},
        "snowman",
        {"snowman": ("color of the scarf", scarf)},
    )


def room(rng: Random) -> View:
    canvas = blank(rng)
    w, h = canvas.width, canvas.height
    wall = rng.choice(("#cfd8c8", "#dccfc0", "#b9c7d1", "#e2d3b5", "#c9b8c4"))
    canvas.gradient(0, 0, w, 0.68 * h, wall, wall)
    draw_surface(canvas, Box(0, round(0.68 * h), w, h), rng.choice(("oak", "pine", "walnut")), rng)
    canvas.rect(0, 0.66 * h, w, 0.685 * h, "#f3efe6")
    canvas.ellipse(
        0.16 * w, 0.8 * h, 0.86 * w, 1.02 * h, rng.choice(("#a8625a", "#5f7a8c", "#8a7a4f")), "#efe3c8", 4
    )
    sofa, lamp = rng.sample(("red", "blue", "green", "purple", "orange", "turquoise"), 2)
    hue, x, start = COLORS[sofa], rng.uniform(0.3, 0.5) * w, len(canvas.marks)
    half = 0.22 * w
    canvas.shadow(x - half, 0.86 * h, x + half, 0.93 * h)
    start = len(canvas.marks)
    canvas.rect(x - half, 0.5 * h, x + half, 0.84 * h, hue, radius=16, shade="fade")
    for side in (-1, 1):
        canvas.rect(
            x + side * half - 18, 0.6 * h, x + side * half + 18, 0.89 * h, hue, radius=14, shade="cylinder"
        )
        canvas.rect(
            x + min(0, side * (half - 20)) + 2,
            0.67 * h,
            x + max(0, side * (half - 20)) - 2,
            0.8 * h,
            hue,
            "#00000030",
            1.5,
            10,
            "fade",
        )
    seat = canvas.bounds_since(start)
    at, start = x + half + 0.16 * w, len(canvas.marks)
    canvas.line([(at, 0.88 * h), (at, 0.4 * h)], "#4a4038", 4)
    canvas.ellipse(at - 24, 0.865 * h, at + 24, 0.895 * h, "#4a4038")
    canvas.polygon(
        [(at - 20, 0.26 * h), (at + 20, 0.26 * h), (at + 38, 0.42 * h), (at - 38, 0.42 * h)],
        COLORS[lamp],
        "cylinder",
    )
    light = canvas.bounds_since(start)
    frame = Box(x - 0.1 * w, 0.12 * h, x + 0.1 * w, 0.4 * h)
    canvas.rect(*frame, "#7a5a34", radius=2, shade="fade")
    canvas.gradient(frame.x1 + 8, frame.y1 + 8, frame.x2 - 8, frame.y2 - 8, *SKIES[rng.choice(sorted(SKIES))])
    canvas.polygon(
        [
            (frame.x1 + 8, frame.y2 - 8),
            (x - 6, frame.y1 + 34),
            (x + 14, frame.y2 - 26),
            (x + 24, frame.y2 - 40),
            (frame.x2 - 8, frame.y2 - 8),
        ],
        "#5f7266",
    )
    shot = frontal_view(canvas, rng)
    return View(
        f"A living room with a {sofa} sofa, a floor lamp with a {lamp} shade, and a picture on the wall.",
        f"living room, {sofa} sofa, floor lamp with {lamp} shade, picture on the wall",
        shot,
        {"sofa": shot.box(seat), "floor lamp": shot.box(light)},
        "living room",
        {"sofa": ("color", sofa), "floor lamp": ("color of the shade", lamp)},
    )


def space(rng: Random) -> View:
    canvas = blank(rng)
    w, h = canvas.width, canvas.height
    canvas.gradient(0, 0, w, h, "#0b1030", rng.choice(("#2a1a44", "#10283e", "#331a2e")))
    for _ in range(170):
        canvas.disc(
            rng.uniform(0, w),
            rng.uniform(0, h),
            rng.choice((0.7, 0.9, 1.5)),
            rng.choice(("#ffffff", "#ffe9c0", "#bcd4ff")),
        )
    planet, rocket = rng.sample(("red", "orange", "turquoise", "purple", "green", "yellow"), 2)
    x, y, r = rng.uniform(0.25, 0.4) * w, rng.uniform(0.35, 0.6) * h, rng.uniform(0.17, 0.24) * h
    start = len(canvas.marks)
    ring = Box(x - 1.75 * r, y - 0.5 * r, x + 1.75 * r, y + 0.5 * r)
    canvas.arc(ring, 180, 360, "#d9c9a0", 6)
    canvas.disc(x, y, r, COLORS[planet], "sphere")
    canvas.arc(ring, 0, 180, "#d9c9a0", 6)
    world = canvas.bounds_since(start)
    x, y, s, start = rng.uniform(0.7, 0.85) * w, rng.uniform(0.6, 0.8) * h, 0.5 * h, len(canvas.marks)
    canvas.polygon([(x - 0.07 * s, y), (x + 0.07 * s, y), (x, y + 0.3 * s)], "#f7b733")
    canvas.polygon([(x - 0.04 * s, y), (x + 0.04 * s, y), (x, y + 0.17 * s)], "#fff3c4")
    for side in (-1, 1):
        canvas.polygon(
            [
                (x + side * 0.1 * s, y - 0.24 * s),
                (x + side * 0.22 * s, y + 0.02 * s),
                (x + side * 0.1 * s, y),
            ],
            COLORS[rocket],
            "fade",
        )
    body = [(0.12 * s * math.cos(t), -0.3 * s - 0.5 * s * math.sin(t)) for t in _half()]
    canvas.polygon(
        [(x + px, y + py) for px, py in body] + [(x - 0.12 * s, y), (x + 0.12 * s, y)], "#eceae4", "cylinder"
    )
    canvas.disc(x, y - 0.42 * s, 0.06 * s, "#5a6b7c", "sphere")
    craft = canvas.bounds_since(start)
    shot = frontal_view(canvas, rng)
    return View(
        f"A white rocket with {rocket} fins flies past a {planet} planet with a ring, before many stars.",
        f"white rocket with {rocket} fins, {planet} planet with a ring, stars",
        shot,
        {"rocket": shot.box(craft), "planet": shot.box(world)},
        "rocket",
        {"rocket": ("color of the fins", rocket), "planet": ("color", planet)},
    )


def _half() -> list[float]:
    """Angles from right over top to left."""
    return [math.pi * step / 24 for step in range(25)]


def garden(rng: Random) -> View:
    canvas, time = blank(rng), rng.choice(("noon", "dawn", "overcast"))
    w, h = canvas.width, canvas.height
    canvas.gradient(0, 0, w, 0.5 * h, *SKIES[time])
    draw_cloud(canvas, rng.uniform(0, w), 0.14 * h, 40)
    for _ in range(8):
        draw_object(
            canvas,
            "tree",
            rng.uniform(0, w),
            0.5 * h,
            rng.uniform(0.24, 0.38) * h,
            rng.choice(("#5d8f4a", "#6f9a45", "#4a7d4f")),
        )
    draw_surface(canvas, Box(0, round(0.46 * h), w, h), "grass", rng)
    for step in range(int(w // 22) + 1):
        canvas.rect(step * 22, 0.4 * h, step * 22 + 12, 0.55 * h, "#f2efe6", radius=3, shade="cylinder")
    canvas.rect(0, 0.44 * h, w, 0.465 * h, "#f2efe6", shade="fade")
    x, y = rng.uniform(0.3, 0.5) * w, 0.77 * h
    canvas.ellipse(x - 0.26 * w, y - 0.13 * h, x + 0.26 * w, y + 0.15 * h, "#8d8a80", shade="fade")
    canvas.ellipse(x - 0.235 * w, y - 0.105 * h, x + 0.235 * w, y + 0.125 * h, "#5f9db5", shade="fade")
    ducks = rng.randint(2, 4)
    for number in range(ducks):
        at = x + (number - (ducks - 1) / 2) * 0.11 * w
        draw_object(
            canvas,
            "duck",
            at,
            y + rng.uniform(0, 0.06) * h,
            0.09 * h,
            COLORS[rng.choice(("yellow", "white"))],
        )
    pot, start = rng.choice(("red", "blue", "turquoise", "purple", "orange")), len(canvas.marks)
    canvas.shadow(0.84 * w - 40, 0.9 * h - 8, 0.84 * w + 50, 0.9 * h + 10)
    start = len(canvas.marks)
    draw_object(canvas, "vase", 0.84 * w, 0.9 * h, 0.4 * h, COLORS[pot])
    shot = frontal_view(canvas, rng)
    many = {2: "two", 3: "three", 4: "four"}[ducks]
    return View(
        f"A garden with a white fence, {many} ducks on a pond, and flowers in a {pot} vase {TIMES[time]}.",
        f"garden, white fence, {many} ducks on a pond, flowers in a {pot} vase",
        shot,
        {"vase": shot.box(canvas.bounds_since(start))},
        "garden",
        {"vase": ("color", pot)},
    )
