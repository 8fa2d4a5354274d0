"""Town maps with streets, a park, a river and a legend."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random

from gtapolicy.pictures.camera import CameraView, tilted_view
from gtapolicy.pictures.canvas import Box, Canvas, union
from gtapolicy.pictures.surfaces import DESKS
from gtapolicy.scenarios import names
from gtapolicy.scenarios.draft import Draft, calculate, draw_box, ocr

PLACES = "Library Bakery School Museum Station Market Pharmacy Theatre Post Clinic Pool Cinema".split()


@dataclass(frozen=True, slots=True)
class Map:
    shot: CameraView
    places: dict[str, tuple[int, Box]]
    """By name: the metres from the station square that the legend gives, and the box of its row."""
    streets: dict[str, Box]


def town_map(rng: Random) -> Map:
    canvas = Canvas(600, 380, rng.choice(("#f3ecdc", "#eef0ea", "#f5efe2")))
    blocks, park = rng.choice((("#e3d6bd", "#bcd9a4"), ("#dcdfd6", "#b5d6ae"), ("#ecdcc8", "#c7dd9f")))
    xs, ys = [10, 130, 245, 370], [50, 150, 260, 368]
    for column in range(3):
        for row in range(3):
            canvas.rect(
                xs[column] + 11, ys[row] + 11, xs[column + 1] - 11, ys[row + 1] - 11, blocks, radius=5
            )
    green = rng.randrange(3), rng.randrange(3)
    x, y = float(xs[green[0]]), float(ys[green[1]])
    canvas.rect(x + 11, y + 11, xs[green[0] + 1] - 11, ys[green[1] + 1] - 11, park, radius=9)
    for _ in range(9):
        canvas.disc(
            rng.uniform(x + 24, xs[green[0] + 1] - 24),
            rng.uniform(y + 22, ys[green[1] + 1] - 22),
            5,
            "#6aa355",
            "sphere",
        )
    start = rng.uniform(60, 330)
    canvas.line(
        [
            (0, start),
            (120, start + rng.uniform(-30, 30)),
            (250, start - 30),
            (380, start + rng.uniform(-50, 20)),
        ],
        "#8fbfe0",
        13,
    )
    title = f"{names.town(rng)} town centre"
    canvas.text(18, 26, title, 22, "#333333", "bold", "lm")
    chosen, spots = rng.sample(PLACES, 5), [(c, r) for c in range(3) for r in range(3) if (c, r) != green]
    for across in xs[1:3]:
        canvas.rect(across - 8, 50, across + 8, 368, "#ffffff")
    streets = {}
    for number, row in enumerate((1, 2)):
        name = f"{names.town(rng)} {('Street', 'Lane')[number]}"
        canvas.rect(10, ys[row] - 10, 370, ys[row] + 10, "#ffffff")
        streets[name] = canvas.text(190, ys[row], name, 16, "#555555", "slanted", "mm")
    metres = rng.sample(range(12, 95), 5)
    places = {}
    canvas.rect(384, 12, 588, 368, "#ffffff", "#b9b09c", 1.5, 6)
    canvas.text(398, 38, "From the square", 17, "#333333", "bold", "lm")
    for number, (name, (c, r)) in enumerate(zip(chosen, rng.sample(spots, 5), strict=True), 1):
        x, y = (xs[c] + xs[c + 1]) / 2, (ys[r] + ys[r + 1]) / 2
        hue = rng.choice(("#c0392b", "#2c6fb0", "#7a4a9c"))
        row = 34 + number * 56
        for px, py in ((x, y), (411, row)):
            canvas.disc(px, py, 14, hue, "fade")
        canvas.text(x, y, str(number), 17, "#ffffff", "bold", "mm")
        parts = [
            canvas.text(411, row, str(number), 17, "#ffffff", "bold", "mm", is_line=False),
            canvas.text(433, row, name, 16, "#333333", "sans", "lm", is_line=False),
            canvas.text(578, row, f"{metres[number - 1] * 10} m", 16, "#777777", "sans", "rm", is_line=False),
        ]
        canvas.add_line(f"{number} {name} {metres[number - 1] * 10} m", parts)
        places[name] = (metres[number - 1] * 10, union(parts))
        canvas.line([(398, row + 28), (576, row + 28)], "#e4ddcc")
    return Map(tilted_view(canvas, rng.choice(DESKS), rng, 0.04), places, streets)


def walked(rng: Random, paths: tuple[str, ...]) -> Draft:
    """For ocr_calc."""
    town, pace = town_map(rng), rng.choice((60, 70, 75, 80))
    a, b = rng.sample(sorted(town.places), 2)
    query, expression = rng.choice(
        (
            (
                f"I walk from the square to the {a.lower()} at {pace} m a minute. How many minutes is that?",
                f"{town.places[a][0]} / {pace}",
            ),
            (
                f"From the square to the {a.lower()} and back again: how many metres?",
                f"2 * {town.places[a][0]}",
            ),
            (
                f"From the square to the {a.lower()} and back, then to the {b.lower()}: how many metres?",
                f"2 * {town.places[a][0]} + {town.places[b][0]}",
            ),
        )
    )
    return Draft(
        query,
        (town.shot,),
        (ocr(paths[0], town.shot), calculate(expression, "the metres in the legend that OCR read")),
    )


def mark_place(rng: Random, paths: tuple[str, ...]) -> Draft:
    """For circle."""
    town = town_map(rng)
    near = rng.random() < 0.5
    _, (metres, box) = (min if near else max)(town.places.items(), key=lambda item: item[1][0])
    word = rng.choice(("closest to", "nearest to") if near else ("farthest from", "most distant from"))
    if rng.random() < 0.3:
        street = rng.choice(sorted(town.streets))
        query = f"Where on this map does it say {street}? Draw a box around the name, without any note."
        return Draft(
            query,
            (town.shot,),
            (ocr(paths[0], town.shot), draw_box(paths[0], town.shot, town.streets[street])),
        )
    query = rng.choice(
        (
            f"Frame the legend's entry that is {word} the square and write its distance in metres on it.",
            f"Which place is {word} the square? Box its entry, with the metres as label.",
        )
    )
    return Draft(
        query, (town.shot,), (ocr(paths[0], town.shot), draw_box(paths[0], town.shot, box, str(metres)))
    )
