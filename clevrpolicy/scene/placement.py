"""Placing objects as CLEVR does: camera and lamps jittered, distances kept, nothing hidden; but bounded.

Constants are those of CLEVR's published generator. A scene's split is a property of its content, so that no
benchmark of any seed tests on a scene, whatever its layout, that any benchmark trains on.
"""

from __future__ import annotations

import hashlib
import math
import random
from collections.abc import Sequence

from clevrpolicy.scene.camera import Camera
from clevrpolicy.scene.ontology import RADIUS, Kind, Object, Scene, Vector
from clevrpolicy.scene.visibility import Solid, half_height, visible
from harness.errors import UserError

TRAIN_SHARE = 0.7
"""Of all contents, by hash; the others are for testing."""

CAMERA: Vector = (7.481, -6.508, 5.344)
CAMERA_JITTER = 0.5
LAMPS: dict[str, Vector] = {
    "key": (6.447, -2.905, 4.258),
    "fill": (-4.671, -4.014, 3.011),
    "back": (-1.169, 2.646, 5.816),
}
LAMP_JITTER = 1.0
DIRECTIONS: dict[str, Vector] = {
    "right": (0.6563, 0.7545, 0.0),
    "behind": (-0.7545, 0.6563, 0.0),
    "left": (-0.6563, -0.7545, 0.0),
    "front": (0.7545, -0.6563, 0.0),
}
"""On the ground, as the unjittered camera sees it."""
RELATED = 0.2
"""World units by which one object is, say, right of another."""

EXTENT = 3.0
"""x and y of the centres lie within -EXTENT..EXTENT."""
MIN_DISTANCE = 0.25
"""Between the surfaces of two objects, seen from above."""
MARGIN = 0.4
"""Two objects are either at least so far apart along a direction, or it is clear which is farther."""
MIN_PIXELS = 200 / (480 * 320)
"""Visible share of the picture below which an object counts as hidden."""
OBJECT_TRIES = 50
LAYOUT_TRIES = 2000
DECIMALS = 6


def split_of(kinds: Sequence[Kind]) -> str:
    """The split, train or test, to which every scene with these kinds of object belongs."""
    content = "\n".join(sorted(map(str, kinds))).encode()
    share = int.from_bytes(hashlib.sha256(content).digest()[:8], "big") / 2**64
    return "train" if share < TRAIN_SHARE else "test"


def place(
    kinds: Sequence[Kind], rng: random.Random, scene_id: str, split: str, width: int, height: int
) -> Scene:
    """Puts the objects on the ground, each with enough visible pixels.

    Raises UserError where no layout is found in LAYOUT_TRIES.
    """
    for _ in range(LAYOUT_TRIES):
        spots = _layout(kinds, rng)
        if spots is None:
            continue
        camera = Camera(_jittered(CAMERA, CAMERA_JITTER, rng), width, height)
        lights = {name: _jittered(lamp, LAMP_JITTER, rng) for name, lamp in LAMPS.items()}
        seen = visible(spots, camera)
        if all(v.pixels >= MIN_PIXELS * width * height for v in seen):
            objects = tuple(
                Object(s.kind, s.coords, s.rotation, _rounded(camera.project(s.coords)), v.bbox, v.pixels)
                for s, v in zip(spots, seen, strict=True)
            )
            return Scene(scene_id, split, width, height, objects, camera.position, lights)
    raise UserError(
        f"{scene_id}: its {len(kinds)} objects found no place in {LAYOUT_TRIES} layouts; "
        "ask for fewer objects (--max-objects) or a larger picture"
    )


def _layout(kinds: Sequence[Kind], rng: random.Random) -> list[Solid] | None:
    """A spot for each object, or None where one found none in OBJECT_TRIES."""
    spots: list[Solid] = []
    for kind in kinds:
        for _ in range(OBJECT_TRIES):
            x, y = (round(rng.uniform(-EXTENT, EXTENT), DECIMALS) for _ in range(2))
            if all(_apart((x, y), kind, other) for other in spots):
                z = round(half_height(kind), DECIMALS)
                spots.append(Solid(kind, (x, y, z), round(rng.uniform(0, 360), DECIMALS)))
                break
        else:
            return None
    return spots


def _apart(spot: tuple[float, float], kind: Kind, other: Solid) -> bool:
    dx, dy = spot[0] - other.coords[0], spot[1] - other.coords[1]
    if math.sqrt(dx * dx + dy * dy) - RADIUS[kind.size] - RADIUS[other.kind.size] < MIN_DISTANCE:
        return False
    return all(not 0 < dx * along[0] + dy * along[1] < MARGIN for along in DIRECTIONS.values())


def _jittered(point: Vector, jitter: float, rng: random.Random) -> Vector:
    x, y, z = (coordinate + rng.uniform(-jitter, jitter) for coordinate in point)
    return _rounded((x, y, z))


def _rounded(point: Vector) -> Vector:
    return round(point[0], DECIMALS), round(point[1], DECIMALS), round(point[2], DECIMALS)
