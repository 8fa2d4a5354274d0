"""What a CLEVR scene can contain: four attributes, 96 kinds of object, and the record of a placed scene.

Values, radii and colors are CLEVR's (Johnson et al., CVPR 2017).
"""

import itertools
from dataclasses import dataclass
from typing import NamedTuple

# World units: the radius of a sphere, the radius and half the height of a cylinder, half the side of a cube.
RADIUS = {"large": 0.7, "small": 0.35}

RGB = {
    "gray": (87, 87, 87),
    "red": (173, 35, 35),
    "blue": (42, 75, 215),
    "green": (29, 105, 20),
    "brown": (129, 74, 25),
    "purple": (129, 38, 192),
    "cyan": (41, 208, 208),
    "yellow": (255, 238, 51),
}

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "size": tuple(RADIUS),
    "color": tuple(RGB),
    "material": ("rubber", "metal"),
    "shape": ("cube", "sphere", "cylinder"),
}

Vector = tuple[float, float, float]


class Kind(NamedTuple):
    """One of the 96 kinds of object. The fields are in the order of English adjectives and noun."""

    size: str
    color: str
    material: str
    shape: str

    def __str__(self) -> str:
        return " ".join(self)


KINDS: tuple[Kind, ...] = tuple(Kind(*values) for values in itertools.product(*ATTRIBUTES.values()))


@dataclass(frozen=True, slots=True)
class Object:
    """An object on the ground plane z = 0."""

    kind: Kind
    # World coordinates of the center. z is the radius.
    coords: Vector
    # Degrees about the vertical axis.
    rotation: float
    # Column and row of the center in pixels, and its depth in world units.
    pixel_coords: Vector
    # Bounding box of the visible pixels: left, top, right, bottom; right and bottom are exclusive.
    bbox: tuple[int, int, int, int]
    visible_pixels: int


@dataclass(frozen=True, slots=True)
class Scene:
    """A placed scene, with everything that rendering needs."""

    id: str
    split: str
    width: int
    height: int
    objects: tuple[Object, ...]
    # World position; the camera looks at the origin.
    camera: Vector
    # World positions of the lamps "key", "fill" and "back".
    lights: dict[str, Vector]
