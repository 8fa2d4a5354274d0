"""Places the objects of a scene by rejection sampling, with the rules and constants of CLEVR's generator.

    repeat at most LAYOUT_TRIES times:
        for each object, try at most OBJECT_TRIES random positions:
            reject a position that is too close to an object placed before, or for which it is ambiguous which
            of the two objects is farther to the right, left, back or front
        jitter the camera and the lamps
        accept the layout if every object has enough visible pixels (visibility.py)

The split of a scene depends only on its kinds of object. So no benchmark tests on the kinds of a scene that
another benchmark trains on, whatever their seeds.
"""

import hashlib
import math
import random
from collections.abc import Sequence

from clevrpolicy.scene.camera import Camera
from clevrpolicy.scene.lamps import LAMPS
from clevrpolicy.scene.ontology import KINDS, RADIUS, Kind, Object, Scene, Vector
from clevrpolicy.scene.visibility import Solid, visible
from harness.errors import UserError

# The training split gets this share of all possible contents, selected by hash.
TRAIN_SHARE = 0.7

# World positions, and the maximum random offset of each coordinate.
CAMERA: Vector = (7.481, -6.508, 5.344)
CAMERA_JITTER = 0.5
LAMP_JITTER = 1.0
# Unit vectors on the ground. Right, left and so on are relative to the camera without jitter.
DIRECTIONS: dict[str, Vector] = {
    "right": (0.6563, 0.7545, 0.0),
    "behind": (-0.7545, 0.6563, 0.0),
    "left": (-0.6563, -0.7545, 0.0),
    "front": (0.7545, -0.6563, 0.0),
}
(RIGHT_X, RIGHT_Y, _), (BEHIND_X, BEHIND_Y, _) = DIRECTIONS["right"], DIRECTIONS["behind"]
# One object is right of another, for example, if it is more than this many world units farther right.
RELATED = 0.2

# x and y of the centers are within -EXTENT..EXTENT.
EXTENT = 3.0
# Minimum distance between the surfaces of two objects, seen from above.
MIN_DISTANCE = 0.25
# An object that is farther in a direction than another one is farther by at least this distance.
MARGIN = 0.4
# Minimum number of visible pixels of an object, as a share of the picture.
MIN_PIXELS = 200 / (480 * 320)
OBJECT_TRIES = 50
LAYOUT_TRIES = 2000
DECIMALS = 6

_NAMES = {kind: str(kind) for kind in KINDS}


def fingerprint(kinds: Sequence[Kind]) -> bytes:
    """A hash of a scene's content: equal for all scenes with exactly these kinds of object."""
    return hashlib.sha256("\n".join(sorted(map(_NAMES.__getitem__, kinds))).encode()).digest()


def split_of(kinds: Sequence[Kind]) -> str:
    """The split (train or test) of all scenes with exactly these kinds of object."""
    return split_by(fingerprint(kinds))


def split_by(content: bytes) -> str:
    """The split of all scenes with this fingerprint."""
    share = int.from_bytes(content[:8], "big") / 2**64
    return "train" if share < TRAIN_SHARE else "test"


def place(
    kinds: Sequence[Kind], rng: random.Random, scene_id: str, split: str, width: int, height: int
) -> Scene:
    """A random scene with these objects, each with enough visible pixels.

    Raises UserError if LAYOUT_TRIES layouts fail.
    """
    for _ in range(LAYOUT_TRIES):
        solids = _layout(kinds, rng)
        if solids is None:
            continue
        camera = Camera(_rounded(jittered(CAMERA, CAMERA_JITTER, rng)), width, height)
        lights = {name: _rounded(jittered(lamp.position, LAMP_JITTER, rng)) for name, lamp in LAMPS.items()}
        views = visible(solids, camera)
        if all(view.pixels >= MIN_PIXELS * width * height for view in views):
            objects = tuple(
                Object(*solid, _rounded(camera.project(solid.coords)), view.bbox, view.pixels)
                for solid, view in zip(solids, views, strict=True)
            )
            return Scene(scene_id, split, width, height, objects, camera.position, lights)
    raise UserError(
        f"{scene_id}: no layout of its {len(kinds)} objects was found in {LAYOUT_TRIES} tries; "
        "use fewer objects (--max-objects) or a larger picture (--width, --height)"
    )


def jittered(point: Vector, reach: float, rng: random.Random) -> Vector:
    """The point with a random offset of at most reach along each axis."""
    x, y, z = (coordinate + rng.uniform(-reach, reach) for coordinate in point)
    return x, y, z


def _layout(kinds: Sequence[Kind], rng: random.Random) -> list[Solid] | None:
    """A position and a rotation for each object; None if OBJECT_TRIES positions fail for an object."""
    solids: list[Solid] = []
    disks: list[tuple[float, float, float]] = []
    for kind in kinds:
        radius = RADIUS[kind.size]
        for _ in range(OBJECT_TRIES):
            x = round(rng.uniform(-EXTENT, EXTENT), DECIMALS)
            y = round(rng.uniform(-EXTENT, EXTENT), DECIMALS)
            if _fits(x, y, radius, disks):
                disks.append((x, y, radius))
                solids.append(Solid(kind, (x, y, radius), round(rng.uniform(0, 360), DECIMALS)))
                break
        else:
            return None
    return solids


def _fits(x: float, y: float, radius: float, disks: Sequence[tuple[float, float, float]]) -> bool:
    """Whether an object at x, y keeps CLEVR's minimum distances to other ones, each given as x, y, radius."""
    # One loop over plain numbers, because a scene takes about 1,000 tries.
    for other_x, other_y, other_radius in disks:
        dx, dy = x - other_x, y - other_y
        if 0 < abs(dx * RIGHT_X + dy * RIGHT_Y) < MARGIN or 0 < abs(dx * BEHIND_X + dy * BEHIND_Y) < MARGIN:
            return False
        if math.sqrt(dx * dx + dy * dy) - radius - other_radius < MIN_DISTANCE:
            return False
    return True


def _rounded(point: Vector) -> Vector:
    return round(point[0], DECIMALS), round(point[1], DECIMALS), round(point[2], DECIMALS)
