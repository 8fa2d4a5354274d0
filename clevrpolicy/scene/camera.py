"""CLEVR's camera: a pinhole that looks at the origin, with z up.

Projection uses only + - * / and sqrt, which IEEE 754 rounds exactly, so pixel coordinates are identical on
every machine.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from clevrpolicy.scene.ontology import Vector

# Millimeters. The sensor's width spans the image's width: a horizontal field of view of 49.13 degrees.
LENS = 35.0
SENSOR = 32.0


def scaled(vector: Vector, factor: float) -> Vector:
    return vector[0] * factor, vector[1] * factor, vector[2] * factor


def _cross(a: Vector, b: Vector) -> Vector:
    return a[1] * b[2] - a[2] * b[1], a[2] * b[0] - a[0] * b[2], a[0] * b[1] - a[1] * b[0]


def dot(a: Vector, b: Vector) -> float:
    """Sums in a fixed order, so the rounding is the same on every machine (unlike with BLAS)."""
    return a[0] * b[0] + a[1] * b[1] + a[2] * b[2]


def difference(a: Vector, b: Vector) -> Vector:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


class Basis(NamedTuple):
    """The camera's axes in world coordinates: perpendicular unit vectors."""

    right: Vector
    up: Vector
    forward: Vector


@dataclass(frozen=True)
class Camera:
    """A camera at a world position, for pictures of width x height pixels.

    Raises ValueError for a picture that is taller than wide (Blender would then fit the lens vertically), and
    for a position straight above or below the origin, where "right" is undefined.
    """

    position: Vector
    width: int
    height: int

    def __post_init__(self) -> None:
        if not self.width >= self.height >= 1:
            raise ValueError(
                f"a picture must be at least as wide as it is tall, got {self.width} x {self.height} pixels; "
                "swap width and height, or choose a larger width"
            )
        if self.position[0] == 0 and self.position[1] == 0:
            raise ValueError(f"the camera must not be above or below the origin, got {self.position}")

    @cached_property
    def basis(self) -> Basis:
        forward = scaled(self.position, -1.0 / math.sqrt(dot(self.position, self.position)))
        horizontal = (forward[1], -forward[0], 0.0)
        right = scaled(horizontal, 1.0 / math.sqrt(dot(horizontal, horizontal)))
        return Basis(right, _cross(right, forward), forward)

    @property
    def focal(self) -> float:
        """Focal length in pixels: the image offset of a point at depth 1 and one unit off the axis."""
        return self.width * LENS / SENSOR

    @property
    def vertical_fov(self) -> float:
        """Radians between the top and the bottom edge of the picture."""
        return 2.0 * math.atan(0.5 * self.height / self.focal)

    def project(self, point: Vector) -> Vector:
        """Column, row (pixels, the origin at the top left corner) and depth (world units) of a world point.

        Raises ValueError for a point that is not in front of the camera.
        """
        basis = self.basis
        offset = difference(point, self.position)
        depth = dot(offset, basis.forward)
        if depth <= 0:
            raise ValueError(f"the point {point} is behind the camera at {self.position}")
        column = 0.5 * self.width + self.focal * dot(offset, basis.right) / depth
        row = 0.5 * self.height - self.focal * dot(offset, basis.up) / depth
        return column, row, depth

    def pose(self) -> npt.NDArray[np.float64]:
        """(4, 4) matrix from OpenGL's camera space (x right, y up, z backward) to the world."""
        right, up, forward = self.basis
        matrix = np.eye(4)
        matrix[:3] = np.column_stack([right, up, np.negative(forward), self.position])
        return matrix
