"""Town maps with streets, a park, a river, and a legend of five places with their distances."""

from dataclasses import dataclass
from random import Random

from gtapolicy.pictures.camera import CameraView, tilted_view
from gtapolicy.pictures.canvas import Canvas
from gtapolicy.pictures.pen import Box, union
from gtapolicy.pictures.surfaces import DESKS
from gtapolicy.scenarios import names
from gtapolicy.scenarios.data import calculation, load, phrase
from gtapolicy.scenarios.draft import Draft, read_and_box, read_and_calculate

PLACES = load("words.toml", "map_places", list[str])
# The edges of three columns and three rows of blocks. Streets are at the inner edges.
EDGES_X, EDGES_Y = [10, 130, 245, 370], [50, 150, 260, 368]
# Column and row.
Block = tuple[int, int]


@dataclass(frozen=True, slots=True)
class Place:
    # Meters from the square, as the legend says.
    distance: int
    # The box of the legend's entry on the canvas.
    box: Box


@dataclass(frozen=True, slots=True)
class TownMap:
    view: CameraView
    places: dict[str, Place]
    # The box of each name on the canvas.
    streets: dict[str, Box]


def town_map(rng: Random) -> TownMap:
    canvas = Canvas(600, 380, rng.choice(("#f3ecdc", "#eef0ea", "#f5efe2")))
    park = _draw_blocks(canvas, rng)
    start = rng.uniform(60, 330)
    left, right = start + rng.uniform(-30, 30), start + rng.uniform(-50, 20)
    canvas.line([(0, start), (120, left), (250, start - 30), (380, right)], "#8fbfe0", 13)
    canvas.text(18, 26, f"{names.town(rng)} town center", 22, "#333333", "bold", "lm")
    chosen = rng.sample(PLACES, 5)
    streets = _draw_streets(canvas, rng)
    distances = [tens * 10 for tens in rng.sample(range(12, 95), 5)]
    canvas.rect(384, 12, 588, 368, "#ffffff", outline="#b9b09c", outline_width=1.5, radius=6)
    canvas.text(398, 38, "From the square", 17, "#333333", "bold", "lm")
    # No place is in the park.
    free = [(column, row) for column in range(3) for row in range(3) if (column, row) != park]
    blocks = rng.sample(free, 5)
    places = {}
    for number, (name, distance, block) in enumerate(zip(chosen, distances, blocks, strict=True), 1):
        places[name] = Place(distance, _draw_place(canvas, rng, number, name, distance, block))
    return TownMap(tilted_view(canvas, rng.choice(DESKS), rng, 0.04), places, streets)


def _block_box(block: Block) -> Box:
    column, row = block
    return Box(EDGES_X[column], EDGES_Y[row], EDGES_X[column + 1], EDGES_Y[row + 1])


def _draw_blocks(canvas: Canvas, rng: Random) -> Block:
    """Draws all blocks, a random one as a park with trees. Returns the block with the park."""
    colors = ("#e3d6bd", "#bcd9a4"), ("#dcdfd6", "#b5d6ae"), ("#ecdcc8", "#c7dd9f")
    block_color, park_color = rng.choice(colors)
    for column in range(3):
        for row in range(3):
            canvas.rect(*_block_box((column, row)).grown(-11), block_color, radius=5)
    park = rng.randrange(3), rng.randrange(3)
    x1, y1, x2, y2 = _block_box(park)
    canvas.rect(*_block_box(park).grown(-11), park_color, radius=9)
    for _ in range(9):
        canvas.disc(rng.uniform(x1 + 24, x2 - 24), rng.uniform(y1 + 22, y2 - 22), 5, "#6aa355", "sphere")
    return park


def _draw_streets(canvas: Canvas, rng: Random) -> dict[str, Box]:
    for x in EDGES_X[1:3]:
        canvas.rect(x - 8, 50, x + 8, 368, "#ffffff")
    streets = {}
    for y, kind in zip(EDGES_Y[1:3], ("Street", "Lane"), strict=True):
        name = f"{names.town(rng)} {kind}"
        canvas.rect(10, y - 10, 370, y + 10, "#ffffff")
        streets[name] = canvas.text(190, y, name, 16, "#555555", "slanted", "mm")
    return streets


def _draw_place(canvas: Canvas, rng: Random, number: int, name: str, distance: int, block: Block) -> Box:
    """Draws a numbered dot on the block and an entry in the legend. Returns the box of the entry."""
    x, y = _block_box(block).center
    legend_x, legend_y = 411, 34 + number * 56
    color = rng.choice(("#c0392b", "#2c6fb0", "#7a4a9c"))
    for dot_x, dot_y in ((x, y), (legend_x, legend_y)):
        canvas.disc(dot_x, dot_y, 14, color, "fade")
    canvas.text(x, y, str(number), 17, "#ffffff", "bold", "mm")
    parts = [
        canvas.text(legend_x, legend_y, str(number), 17, "#ffffff", "bold", "mm", is_line=False),
        canvas.text(433, legend_y, name, 16, "#333333", "sans", "lm", is_line=False),
        canvas.text(578, legend_y, f"{distance} m", 16, "#777777", "sans", "rm", is_line=False),
    ]
    canvas.add_line(f"{number} {name} {distance} m", parts)
    canvas.line([(398, legend_y + 28), (576, legend_y + 28)], "#e4ddcc")
    return union(parts)


def walk(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family ocr_calc: the length of a walk, or its minutes."""
    town, pace = town_map(rng), rng.choice((60, 70, 75, 80))
    a, b = rng.sample(sorted(town.places), 2)
    values = {"a": a.lower(), "b": b.lower(), "pace": pace}
    distances = {"to_a": town.places[a].distance, "to_b": town.places[b].distance}
    query, expression = calculation(rng, "walk", **values, **distances)
    origin = "the meters in the legend that OCR read"
    return read_and_calculate(query, paths[0], town.view, expression, origin)


def mark_place(rng: Random, paths: tuple[str, ...]) -> Draft:
    """Family circle: the nearest or farthest place, or the name of a street."""
    town = town_map(rng)
    near = rng.random() < 0.5
    place = (min if near else max)(town.places.values(), key=lambda place: place.distance)
    rank = rng.choice(("closest to", "nearest to") if near else ("farthest from", "most distant from"))
    if rng.random() < 0.3:
        street = rng.choice(sorted(town.streets))
        query = f"Where on this map does it say {street}? Draw a box around the name, without any note."
        return read_and_box(query, paths[0], town.view, town.streets[street])
    query = phrase(rng, "mark_place", rank=rank)
    return read_and_box(query, paths[0], town.view, place.box, f"{place.distance} m")
