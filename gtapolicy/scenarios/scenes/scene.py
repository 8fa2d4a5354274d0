"""A scene: a picture of a place or an object, its description, and the parts that can be found in it."""

from collections.abc import Mapping
from dataclasses import dataclass
from random import Random

from gtapolicy.pictures.camera import CameraView, frontal_view
from gtapolicy.pictures.canvas import Canvas
from gtapolicy.pictures.pen import Box
from gtapolicy.scenarios.data import load_filled

# The phrase in sentences for each sky of SKIES.
TIMES = {"noon": "around noon", "dusk": "at dusk", "dawn": "at dawn", "overcast": "under an overcast sky"}


@dataclass(frozen=True, slots=True)
class SceneTexts:
    # Describes the picture.
    sentence: str
    # The parts that can be found, each with an attribute to ask about and the value of the attribute.
    parts: dict[str, tuple[str, str]]


@dataclass(frozen=True, slots=True)
class Scene:
    texts: SceneTexts
    view: CameraView
    # The box of each part, in pixels of the picture.
    boxes: dict[str, Box]


def blank_canvas(rng: Random) -> Canvas:
    return Canvas(rng.choice((480, 540, 600)), rng.choice((340, 370, 400)))


def draw_sun(canvas: Canvas, rng: Random, time: str) -> None:
    if time == "overcast":
        return
    x, y = rng.uniform(0.15, 0.85) * canvas.width, rng.uniform(0.12, 0.3) * canvas.height
    r = rng.uniform(16, 26)
    for halo in (2.2, 1.7, 1.3):
        canvas.disc(x, y, r * halo, "#fff2c81c")
    canvas.disc(x, y, r, "#fff3c9" if time != "dusk" else "#ffd9a0")


def drawn_scene(
    canvas: Canvas, rng: Random, kind: str, values: Mapping[str, object], parts: dict[str, Box]
) -> Scene:
    """The scene on a finished canvas.

    `values` are filled into the texts of this kind in scenes.toml; `parts` are boxes on the canvas.
    """
    view = frontal_view(canvas, rng)
    texts = load_filled("scenes/scenes.toml", kind, SceneTexts, values)
    return Scene(texts, view, {part: view.box(box) for part, box in parts.items()})
