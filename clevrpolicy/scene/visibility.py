"""Which pixels show which object: exact rays against spheres, boxes and cylinders, without any GL.

Acceptance of a scene, bounding boxes and pixel counts are part of a benchmark's digest, which must be the
same on every machine. So only operations that IEEE 754 rounds exactly are used (+ - * / sqrt and
comparisons), sums are taken in a fixed order, and the sine and cosine of a rotation are rounded.

A ray is `forward + u * right + v * up`, which makes its parameter the depth, and makes the dot product of
a ray with any fixed vector a sum of a row and a column: one addition a pixel.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from clevrpolicy.scene.camera import Basis, Camera, difference, dot
from clevrpolicy.scene.ontology import RADIUS, Kind, Vector

Array = npt.NDArray[np.float64]
Box = tuple[int, int, int, int]

VERTICAL: Vector = (0.0, 0.0, 1.0)
BEVEL = 0.15
"""Radius of a cube's rounded edges, as a share of its half side."""
CHAMFER = 2.0 - 2.0 * BEVEL + BEVEL * math.sqrt(2.0)
"""Sum of two coordinates, in half sides, up to which a cube reaches: a flat cut instead of the rounding."""
DECIMALS = 9
"""Of a sine or cosine: far below a pixel, far above the last bit, in which mathematical libraries differ."""


class Solid(NamedTuple):
    """What visibility must know of an object: its kind, its centre and its turn about z in degrees."""

    kind: Kind
    coords: Vector
    rotation: float


class Visible(NamedTuple):
    """What a camera sees of one object."""

    pixels: int
    """Pixels whose centre shows the object."""
    bbox: Box
    """Left, top, right, bottom of those pixels, the last two exclusive; zeros when there are none."""


def half_side(kind: Kind) -> float:
    """Half the edge of a cube of this size, in world units: CLEVR divides the radius by sqrt 2."""
    return RADIUS[kind.size] / math.sqrt(2.0)


def half_height(kind: Kind) -> float:
    """How high the centre of an object stands above the ground, in world units."""
    return half_side(kind) if kind.shape == "cube" else RADIUS[kind.size]


def visible(solids: Sequence[Solid], camera: Camera) -> list[Visible]:
    """What the camera sees of each solid, with the others in front of it; solids must not overlap.

    Raises ValueError when a solid reaches behind the camera.
    """
    owner = owners(solids, camera)
    return [_extent(owner == index, _window(solid, camera)) for index, solid in enumerate(solids)]


def owners(solids: Sequence[Solid], camera: Camera) -> npt.NDArray[np.int16]:
    """(height, width) index of the solid that each pixel shows, -1 where it shows the ground or the sky."""
    nearest = np.full((camera.height, camera.width), np.inf)
    owner = np.full(nearest.shape, -1, dtype=np.int16)
    for index, solid in enumerate(solids):
        left, top, right, bottom = _window(solid, camera)
        if left >= right or top >= bottom:
            continue
        window = (slice(top, bottom), slice(left, right))
        depth = _depth(solid, _Rays(camera, (left, top, right, bottom)))
        closer = depth < nearest[window]
        nearest[window][closer] = depth[closer]
        owner[window][closer] = index
    return owner


class _Rays:
    """The rays through the pixel centres of a window of the picture."""

    def __init__(self, camera: Camera, window: Box) -> None:
        left, top, right, bottom = window
        self.origin = camera.position
        self.basis: Basis = camera.basis
        columns = np.arange(left, right, dtype=np.float64)
        rows = np.arange(top, bottom, dtype=np.float64)
        self.u: Array = (columns + (0.5 - 0.5 * camera.width)) / camera.focal
        self.v: Array = ((0.5 * camera.height - 0.5) - rows)[:, None] / camera.focal

    def along(self, axis: Vector) -> Array:
        """(rows, columns) dot product of each ray with a vector."""
        across = dot(axis, self.basis.right) * self.u
        down = dot(axis, self.basis.forward) + dot(axis, self.basis.up) * self.v
        result: Array = across + down
        return result

    def rise(self) -> Array:
        """(rows, 1) dot product with the vertical: the camera's right is level, so columns do not matter."""
        return self.basis.forward[2] + self.basis.up[2] * self.v

    def square(self) -> Array:
        """(rows, columns) squared length of each ray."""
        result: Array = self.u * self.u + (1.0 + self.v * self.v)
        return result


def _depth(solid: Solid, rays: _Rays) -> Array:
    """(rows, columns) depth at which each ray enters the solid, infinite where it misses."""
    # Level rays and rays along a face divide by zero, and rays that miss have no root: all end as misses.
    with np.errstate(divide="ignore", invalid="ignore"):
        if solid.kind.shape == "sphere":
            enter, leave = _through_sphere(solid, rays)
        elif solid.kind.shape == "cylinder":
            enter, leave = _through_cylinder(solid, rays)
        else:
            enter, leave = _through_cube(solid, rays)
        return np.where((enter <= leave) & (enter > 0), enter, np.inf)


Span = tuple[Array, Array]
"""Depths at which each ray enters and leaves a convex body; NaN, or enter > leave, where it misses."""


def _through_sphere(solid: Solid, rays: _Rays) -> Span:
    offset = difference(rays.origin, solid.coords)
    radius = RADIUS[solid.kind.size]
    return _roots(rays.square(), rays.along(offset), dot(offset, offset) - radius * radius)


def _through_cylinder(solid: Solid, rays: _Rays) -> Span:
    offset = difference(rays.origin, solid.coords)
    level = (offset[0], offset[1], 0.0)
    radius = RADIUS[solid.kind.size]
    rise = rays.rise()
    side = _roots(rays.square() - rise * rise, rays.along(level), dot(level, level) - radius * radius)
    return _both(side, _slab(rise, offset[2], radius))


def _through_cube(solid: Solid, rays: _Rays) -> Span:
    offset = difference(rays.origin, solid.coords)
    half = half_side(solid.kind)
    axes = (*_turned(solid.rotation), VERTICAL)
    span = _slab(rays.along(VERTICAL), offset[2], half)
    for axis in axes[:2]:
        span = _both(span, _slab(rays.along(axis), dot(offset, axis), half))
    for a, b in ((0, 1), (0, 2), (1, 2)):
        for diagonal in (_sum(axes[a], axes[b]), difference(axes[a], axes[b])):
            span = _both(span, _slab(rays.along(diagonal), dot(offset, diagonal), CHAMFER * half))
    return span


def _sum(a: Vector, b: Vector) -> Vector:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def _turned(rotation: float) -> tuple[Vector, Vector]:
    """The directions of x and y after a turn about z by some degrees."""
    angle = math.radians(rotation)
    cosine, sine = round(math.cos(angle), DECIMALS), round(math.sin(angle), DECIMALS)
    return (cosine, sine, 0.0), (-sine, cosine, 0.0)


def _roots(square: Array, half_linear: Array, constant: float) -> Span:
    """Both solutions of square * t^2 + 2 * half_linear * t + constant = 0."""
    root = np.sqrt(half_linear * half_linear - square * constant)
    return (-half_linear - root) / square, (root - half_linear) / square


def _slab(direction: Array, offset: float, half: float) -> Span:
    """Where rays are between two parallel planes, at -half and half along an axis through the centre."""
    one, other = (-half - offset) / direction, (half - offset) / direction
    return np.minimum(one, other), np.maximum(one, other)


def _both(a: Span, b: Span) -> Span:
    return np.maximum(a[0], b[0]), np.minimum(a[1], b[1])


def _window(solid: Solid, camera: Camera) -> Box:
    """A part of the picture, outside of which the solid cannot be seen: its bounding box, projected."""
    height = half_height(solid.kind)
    wide = height if solid.kind.shape == "cube" else RADIUS[solid.kind.size]
    first, second = _turned(solid.rotation if solid.kind.shape == "cube" else 0.0)
    x, y, z = solid.coords
    columns, rows = [], []
    for a in (-wide, wide):
        for b in (-wide, wide):
            for c in (-height, height):
                corner = (x + a * first[0] + b * second[0], y + a * first[1] + b * second[1], z + c)
                column, row, _ = camera.project(corner)
                columns.append(column)
                rows.append(row)
    return (
        max(0, math.floor(min(columns))),
        max(0, math.floor(min(rows))),
        min(camera.width, math.ceil(max(columns))),
        min(camera.height, math.ceil(max(rows))),
    )


def _extent(mask: npt.NDArray[np.bool_], window: Box) -> Visible:
    """Count and bounding box of a mask that is false outside of a window."""
    left, top, right, bottom = window
    shown = mask[top:bottom, left:right]
    pixels = int(np.count_nonzero(shown))
    if not pixels:
        return Visible(0, (0, 0, 0, 0))
    columns = np.flatnonzero(shown.any(axis=0))
    rows = np.flatnonzero(shown.any(axis=1))
    first, last = int(columns[0]), int(columns[-1])
    highest, lowest = int(rows[0]), int(rows[-1])
    return Visible(pixels, (left + first, top + highest, left + last + 1, top + lowest + 1))
