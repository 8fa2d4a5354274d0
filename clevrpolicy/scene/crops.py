"""Image demonstrations: pictures that show the value of an attribute, for policies that do not name it (-M).

A demonstration is a scene with one object; benchmark scenes have at least two. All crops have the same scale,
so a small object fills visibly less of the picture than a large one.
"""

import random

from PIL import Image

from clevrpolicy.scene.camera import Camera
from clevrpolicy.scene.lamps import LAMPS
from clevrpolicy.scene.ontology import ATTRIBUTES, RADIUS, Kind, Object, Scene
from clevrpolicy.scene.placement import CAMERA, jittered
from clevrpolicy.scene.render import Renderer
from clevrpolicy.scene.visibility import Solid, visible

WIDTH, HEIGHT = 480, 320
# Side in pixels of the square that is cut out; a large cube at any angle fits in it.
WINDOW = 112
# Side in pixels of the crop, after scaling the square.
SIDE = 96
# World units along each axis: less than in benchmark scenes, so that all crops have about the same scale.
PLACE_JITTER, CAMERA_JITTER, LAMP_JITTER = 0.25, 0.15, 0.3


def demonstration(attribute: str, value: str, rng: random.Random) -> Scene:
    """A scene with one object that has this value; its other attributes are random.

    Raises ValueError for an attribute or a value that CLEVR does not have.
    """
    if value not in ATTRIBUTES.get(attribute, ()):
        known = "; ".join(f"{name}: {', '.join(values)}" for name, values in ATTRIBUTES.items())
        raise ValueError(f"expected an attribute and one of its values ({known}), got {attribute} {value}")
    values = {name: rng.choice(values) for name, values in ATTRIBUTES.items()}
    kind = Kind(**{**values, attribute: value})
    x, y, _ = jittered((0.0, 0.0, 0.0), PLACE_JITTER, rng)
    solid = Solid(kind, (x, y, RADIUS[kind.size]), rng.uniform(0.0, 360.0))
    camera = Camera(jittered(CAMERA, CAMERA_JITTER, rng), WIDTH, HEIGHT)
    (view,) = visible([solid], camera)
    item = Object(*solid, camera.project(solid.coords), view.bbox, view.pixels)
    lights = {name: jittered(lamp.position, LAMP_JITTER, rng) for name, lamp in LAMPS.items()}
    return Scene(f"{attribute}-{value}", "demonstration", WIDTH, HEIGHT, (item,), camera.position, lights)


def crop(renderer: Renderer, scene: Scene) -> Image.Image:
    """The part of a demonstration's picture around its object, SIDE x SIDE pixels.

    Raises ValueError for a scene of another size or with more than one object.
    """
    if len(scene.objects) != 1 or (scene.width, scene.height) != (WIDTH, HEIGHT):
        raise ValueError(
            f"a demonstration has one object and {WIDTH} x {HEIGHT} pixels, got {len(scene.objects)} objects "
            f"and {scene.width} x {scene.height} pixels; create one with demonstration()"
        )
    column, row, _ = scene.objects[0].pixel_coords
    left, top = round(column - WINDOW / 2), round(row - WINDOW / 2)
    picture = Image.fromarray(renderer.render(scene))
    window = picture.crop((left, top, left + WINDOW, top + WINDOW))
    return window.resize((SIDE, SIDE), Image.Resampling.LANCZOS)
