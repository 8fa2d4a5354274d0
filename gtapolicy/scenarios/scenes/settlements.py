"""Drawn scenes of human surroundings: a village, a skyline, a living room, a garden."""

from random import Random

from gtapolicy.pictures.canvas import Canvas
from gtapolicy.pictures.objects import COLORS, draw_object
from gtapolicy.pictures.pen import Box, Pen
from gtapolicy.pictures.settings import SKIES, draw_cloud, draw_hills, draw_sky, draw_surface
from gtapolicy.scenarios.names import NUMBERS
from gtapolicy.scenarios.scenes.scene import TIMES, Scene, blank_canvas, draw_sun, drawn_scene


def village(rng: Random) -> Scene:
    canvas, time = blank_canvas(rng), rng.choice(("noon", "dawn", "overcast"))
    w, h = canvas.width, canvas.height
    draw_sky(canvas, time, h)
    draw_cloud(canvas, rng.uniform(60, 400), 50, 44)
    draw_cloud(canvas, rng.uniform(60, 400), 90, 32)
    horizon = h * 0.55
    draw_hills(canvas, rng, horizon + 20, 50, rng.choice(("#6d9160", "#86a05b", "#5e8a72")))
    draw_surface(canvas, Box(0, round(horizon + 24), w, h), "grass", rng)
    x, cap = rng.choice((0.22, 0.75)) * w, rng.choice(("red", "blue", "brown"))
    windmill = _draw_windmill(canvas.at(x, h * 0.8, h * 0.5), COLORS[cap])
    # The houses are on the side without the windmill.
    for share in (0.18, 0.32) if x > w / 2 else (0.5, 0.66, 0.84):
        y = h * rng.uniform(0.74, 0.84)
        draw_object(canvas, "house", w * share, y, h * 0.2, rng.choice(("red", "orange", "brown")))
    for _ in range(9):
        x, y = rng.uniform(0, w), rng.uniform(0.88, 0.98) * h
        canvas.disc(x, y, 5, COLORS[rng.choice(("red", "yellow", "pink"))], "sphere")
    return drawn_scene(canvas, rng, "village", {"cap": cap, "time": TIMES[time]}, {"windmill": windmill})


def _draw_windmill(pen: Pen, cap: str) -> Box:
    start = len(pen.marks)
    pen.polygon([(-0.16, 0), (-0.1, -0.66), (0.1, -0.66), (0.16, 0)], "#efe8d8", "cylinder")
    pen.pie((-0.12, -0.8, 0.12, -0.54), 180, 360, cap)
    for dx, dy in ((1, 0.6), (-0.6, 1), (-1, -0.6), (0.6, -1)):
        inner, outer, tip = (pen.at(0, -0.64, radius).point(dx, dy) for radius in (0.05, 0.33, 0.34))
        pen.in_pixels.line([pen.point(0, -0.64), tip], "#5d4630", 3)
        pen.in_pixels.line([inner, outer], "#f4efe2a0", 11)
    return pen.bounds_since(start)


def skyline(rng: Random) -> Scene:
    canvas, time = blank_canvas(rng), rng.choice(("dusk", "dawn", "overcast"))
    w, h = canvas.width, canvas.height
    draw_sky(canvas, time, h)
    draw_sun(canvas, rng, time)
    base = h * 0.8
    for tone, tall, lit in (("#6b7488", 0.42, False), ("#3e475b", 0.62, True)):
        x = -10.0
        while x < w:
            wide, high = rng.uniform(34, 74), rng.uniform(0.4, 1) * tall * h
            canvas.rect(x, base - high, x + wide, base, tone, shade="cylinder")
            if lit:
                _draw_windows(canvas, rng, x, base - high, wide, high)
            x += wide + rng.uniform(0, 6)
    canvas.gradient(0, base, w, h, "#4b5a74", "#27324a")
    for _ in range(60):
        x, y = rng.uniform(0, w), rng.uniform(base + 4, h)
        canvas.line([(x, y), (x + 18, y)], rng.choice(("#ffd98a50", "#ffffff22")), 1.5)
    color, x = rng.choice(("red", "orange", "yellow", "turquoise")), rng.uniform(0.2, 0.8) * w
    balloon = draw_object(canvas, "hot-air balloon", x, h * 0.36, h * 0.26, color)
    values = {"color": color, "time": TIMES[time]}
    return drawn_scene(canvas, rng, "skyline", values, {"hot-air balloon": balloon})


def _draw_windows(canvas: Canvas, rng: Random, left: float, top: float, wide: float, high: float) -> None:
    for row in range(int(high // 16)):
        for column in range(int(wide // 13)):
            if rng.random() < 0.55:
                x, y = left + 5 + column * 13, top + 6 + row * 16
                canvas.rect(x, y, x + 6, y + 8, rng.choice(("#ffd98a", "#ffe9b8", "#8fa6c8")))


def room(rng: Random) -> Scene:
    canvas = blank_canvas(rng)
    w, h = canvas.width, canvas.height
    wall = rng.choice(("#cfd8c8", "#dccfc0", "#b9c7d1", "#e2d3b5", "#c9b8c4"))
    canvas.gradient(0, 0, w, 0.68 * h, wall, wall)
    draw_surface(canvas, Box(0, round(0.68 * h), w, h), rng.choice(("oak", "pine", "walnut")), rng)
    canvas.rect(0, 0.66 * h, w, 0.685 * h, "#f3efe6")
    carpet = rng.choice(("#a8625a", "#5f7a8c", "#8a7a4f"))
    canvas.ellipse(0.16 * w, 0.8 * h, 0.86 * w, 1.02 * h, carpet, outline="#efe3c8", outline_width=4)
    sofa_color, shade_color = rng.sample(("red", "blue", "green", "purple", "orange", "turquoise"), 2)
    x, half = rng.uniform(0.3, 0.5) * w, 0.22 * w
    canvas.shadow(x - half, 0.86 * h, x + half, 0.93 * h)
    sofa = _draw_sofa(canvas, x, half, COLORS[sofa_color])
    start, lamp_x = len(canvas.marks), x + half + 0.16 * w
    canvas.line([(lamp_x, 0.88 * h), (lamp_x, 0.4 * h)], "#4a4038", 4)
    canvas.ellipse(lamp_x - 24, 0.865 * h, lamp_x + 24, 0.895 * h, "#4a4038")
    upper, lower = 0.26 * h, 0.42 * h
    shade = [(lamp_x - 20, upper), (lamp_x + 20, upper), (lamp_x + 38, lower), (lamp_x - 38, lower)]
    canvas.polygon(shade, COLORS[shade_color], "cylinder")
    lamp = canvas.bounds_since(start)
    frame = Box(x - 0.1 * w, 0.12 * h, x + 0.1 * w, 0.4 * h)
    canvas.rect(*frame, "#7a5a34", radius=2, shade="fade")
    left, top, right, bottom = frame.grown(-8)
    canvas.gradient(left, top, right, bottom, *SKIES[rng.choice(sorted(SKIES))])
    peaks = [(x - 6, top + 26), (x + 14, bottom - 18), (x + 24, bottom - 32)]
    canvas.polygon([(left, bottom), *peaks, (right, bottom)], "#5f7266")
    values = {"sofa": sofa_color, "lamp": shade_color}
    return drawn_scene(canvas, rng, "room", values, {"sofa": sofa, "floor lamp": lamp})


def _draw_sofa(canvas: Canvas, x: float, half: float, color: str) -> Box:
    """A sofa centered at x; `half` is half of its width."""
    start, h = len(canvas.marks), canvas.height
    canvas.rect(x - half, 0.5 * h, x + half, 0.84 * h, color, radius=16, shade="fade")
    for side in (-1, 1):
        arm, seat = x + side * half, side * (half - 20)
        canvas.rect(arm - 18, 0.6 * h, arm + 18, 0.89 * h, color, radius=14, shade="cylinder")
        cushion = (x + min(0, seat) + 2, 0.67 * h, x + max(0, seat) - 2, 0.8 * h)
        canvas.rect(*cushion, color, radius=10, outline="#00000030", outline_width=1.5, shade="fade")
    return canvas.bounds_since(start)


def garden(rng: Random) -> Scene:
    canvas, time = blank_canvas(rng), rng.choice(("noon", "dawn", "overcast"))
    w, h = canvas.width, canvas.height
    draw_sky(canvas, time, 0.5 * h)
    draw_cloud(canvas, rng.uniform(0, w), 0.14 * h, 40)
    for _ in range(8):
        x, tall = rng.uniform(0, w), rng.uniform(0.24, 0.38) * h
        draw_object(canvas, "tree", x, 0.5 * h, tall, rng.choice(("#5d8f4a", "#6f9a45", "#4a7d4f")))
    draw_surface(canvas, Box(0, round(0.46 * h), w, h), "grass", rng)
    for x in range(0, 22 * (int(w // 22) + 1), 22):
        canvas.rect(x, 0.4 * h, x + 12, 0.55 * h, "#f2efe6", radius=3, shade="cylinder")
    canvas.rect(0, 0.44 * h, w, 0.465 * h, "#f2efe6", shade="fade")
    x, y = rng.uniform(0.3, 0.5) * w, 0.77 * h
    canvas.ellipse(x - 0.26 * w, y - 0.13 * h, x + 0.26 * w, y + 0.15 * h, "#8d8a80", shade="fade")
    canvas.ellipse(x - 0.235 * w, y - 0.105 * h, x + 0.235 * w, y + 0.125 * h, "#5f9db5", shade="fade")
    ducks = rng.randint(2, 4)
    for number in range(ducks):
        duck_x, duck_y = x + (number - (ducks - 1) / 2) * 0.11 * w, y + rng.uniform(0, 0.06) * h
        draw_object(canvas, "duck", duck_x, duck_y, 0.09 * h, rng.choice(("yellow", "white")))
    color = rng.choice(("red", "blue", "turquoise", "purple", "orange"))
    canvas.shadow(0.84 * w - 40, 0.9 * h - 8, 0.84 * w + 50, 0.9 * h + 10)
    vase = draw_object(canvas, "vase", 0.84 * w, 0.9 * h, 0.4 * h, color)
    values = {"ducks": NUMBERS[ducks], "vase": color, "time": TIMES[time]}
    return drawn_scene(canvas, rng, "garden", values, {"vase": vase})
