"""What exists in a CLEVR scene: four attributes, 96 kinds of object, and the record of a whole scene.

Values, radii and colours are those that CLEVR publishes (Johnson et al., CVPR 2017).
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import NamedTuple

RADIUS = {"large": 0.7, "small": 0.35}
"""Of a sphere or cylinder, in world units; a cube's half side is this divided by sqrt 2."""

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


class Kind(NamedTuple):
    """One of the 96 kinds of object; the fields stand in the order in which English names them."""

    size: str
    color: str
    material: str
    shape: str

    def __str__(self) -> str:
        return " ".join(self)


KINDS: tuple[Kind, ...] = tuple(Kind(*values) for values in itertools.product(*ATTRIBUTES.values()))

Vector = tuple[float, float, float]


@dataclass(frozen=True, slots=True)
class Object:
    """An object that stands on the ground plane z = 0."""

    kind: Kind
    coords: Vector
    """World coordinates of its centre; z is the radius, or the half side of a cube."""
    rotation: float
    """Degrees about the vertical axis."""
    pixel_coords: Vector
    """Column and row of its centre in the image, in pixels, and its depth in world units."""
    bbox: tuple[int, int, int, int]
    """Of its visible pixels: left, top, right, bottom, the last two exclusive."""
    visible_pixels: int


@dataclass(frozen=True, slots=True)
class Scene:
    """A placed scene, with everything that is needed to render it again."""

    id: str
    split: str
    width: int
    height: int
    objects: tuple[Object, ...]
    camera: Vector
    """World position; the camera looks at the origin."""
    lights: dict[str, Vector]
    """World positions of the lamps "key", "fill" and "back"."""

    @property
    def kinds(self) -> tuple[Kind, ...]:
        return tuple(o.kind for o in self.objects)
