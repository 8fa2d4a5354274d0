"""Computes which pixels show which object, exactly and without OpenGL.

Visibility decides whether a scene is accepted, and boxes and pixel counts are part of a benchmark's digest,
which must be the same on every machine. So this module uses only operations that IEEE 754 rounds exactly (+ -
* / sqrt and comparisons), sums in a fixed order, and rounds the sine and cosine of a rotation.

Each pixel center has a ray:  point(t) = camera + t * (forward + u * right + v * up)

t is the depth. u depends only on the column and v only on the row. So the dot product of all rays with a
fixed vector is a row plus a column: one addition per pixel. A solid is an intersection of convex bodies:

    sphere      one ball             the depths of entry and exit solve a quadratic equation
    cylinder    infinite cylinder    a quadratic equation
                and one slab         a slab is the space between two parallel planes: top and bottom
                and one ball         replaces the rounded rims
    cube        25 slabs             three pairs of faces, and cuts that replace its rounded edges (18 pairs)
                                     and corners (four pairs)

A ray is inside an intersection from the latest entry to the earliest exit. It misses the intersection if the
exit comes first. A pixel shows the solid with the nearest entry.
"""

import itertools
import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from clevrpolicy.scene.camera import Camera, difference, dot, scaled
from clevrpolicy.scene.ontology import RADIUS, Kind, Vector

Array = npt.NDArray[np.float64]
# Left, top, right, bottom in pixels; right and bottom are exclusive.
Box = tuple[int, int, int, int]
# Depths at which each ray enters and leaves a body. For a ray that misses it: NaN, or enter > leave.
Span = tuple[Array, Array]

VERTICAL: Vector = (0.0, 0.0, 1.0)
# Planes that touch a cube's rounded edges and corners (shapes.py) replace the rounding. For each plane at an
# edge: factors of the two coordinates, and the greatest value of their sum in half sides.
EDGE_CUTS = ((1.0, 1.0, 1.89685), (1.0, 0.4, 1.34056), (0.4, 1.0, 1.34056))
# The greatest sum of the three coordinates, at a corner.
CORNER_SUM = 2.77002
# A ball that touches a cylinder's rounded rims replaces their rounding. Its radius, in radii of the cylinder.
RIM_BALL = 1.39293
# Sines and cosines are rounded: far more finely than a pixel, but coarser than the last bit, in which math
# libraries differ.
DECIMALS = 9


class Solid(NamedTuple):
    """What visibility needs to know about an object."""

    kind: Kind
    # World coordinates of the center.
    coords: Vector
    # Degrees about z.
    rotation: float


class Visible(NamedTuple):
    """What a camera sees of one object."""

    # Number of pixels whose center shows the object.
    pixels: int
    # The bounding box of these pixels; zeros if there are none.
    bbox: Box


def visible(solids: Sequence[Solid], camera: Camera) -> list[Visible]:
    """What the camera sees of each solid when others hide parts of it. Solids must not overlap.

    Raises ValueError if a solid extends behind the camera.
    """
    owner = owners(solids, camera)
    return [_extent(owner == index, _window(solid, camera)) for index, solid in enumerate(solids)]


def owners(solids: Sequence[Solid], camera: Camera) -> npt.NDArray[np.int16]:
    """(height, width) index of the solid that each pixel shows; -1 for the ground or the sky."""
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
    """The rays through the pixel centers of a window of the picture."""

    def __init__(self, camera: Camera, window: Box) -> None:
        left, top, right, bottom = window
        self.origin, self.basis = camera.position, camera.basis
        columns = np.arange(left, right, dtype=np.float64)
        rows = np.arange(top, bottom, dtype=np.float64)
        self.u: Array = (columns + (0.5 - 0.5 * camera.width)) / camera.focal
        self.v: Array = ((0.5 * camera.height - 0.5) - rows)[:, None] / camera.focal

    def along(self, axis: Vector) -> Array:
        """(rows, columns) dot product of each ray with a vector."""
        by_column = dot(axis, self.basis.right) * self.u
        by_row = dot(axis, self.basis.forward) + dot(axis, self.basis.up) * self.v
        return by_column + by_row

    def rise(self) -> Array:
        """(rows, 1) dot product with the vertical. It is the same in all columns: "right" is horizontal."""
        return self.basis.forward[2] + self.basis.up[2] * self.v

    def square(self) -> Array:
        """(rows, columns) squared length of each ray."""
        return self.u * self.u + (1.0 + self.v * self.v)


def _depth(solid: Solid, rays: _Rays) -> Array:
    """(rows, columns) depth at which each ray enters the solid; infinite if it misses."""
    # Rays parallel to a plane divide by zero, and rays that miss have no root. Both count as misses.
    with np.errstate(divide="ignore", invalid="ignore"):
        if solid.kind.shape == "sphere":
            enter, leave = _through_ball(solid, rays, RADIUS[solid.kind.size])
        elif solid.kind.shape == "cylinder":
            enter, leave = _through_cylinder(solid, rays)
        else:
            enter, leave = _through_cube(solid, rays)
        return np.where((enter <= leave) & (enter > 0), enter, np.inf)


def _through_ball(solid: Solid, rays: _Rays, radius: float) -> Span:
    offset = difference(rays.origin, solid.coords)
    return _roots(rays.square(), rays.along(offset), dot(offset, offset) - radius * radius)


def _through_cylinder(solid: Solid, rays: _Rays) -> Span:
    offset = difference(rays.origin, solid.coords)
    horizontal = (offset[0], offset[1], 0.0)
    radius = RADIUS[solid.kind.size]
    rise = rays.rise()
    constant = dot(horizontal, horizontal) - radius * radius
    side = _roots(rays.square() - rise * rise, rays.along(horizontal), constant)
    wall = _intersection(side, _slab(rise, offset[2], radius))
    return _intersection(wall, _through_ball(solid, rays, RIM_BALL * radius))


def _through_cube(solid: Solid, rays: _Rays) -> Span:
    offset = difference(rays.origin, solid.coords)
    half = RADIUS[solid.kind.size]
    x, y = _rotated_axes(solid.rotation)
    span = _slab(rays.along(VERTICAL), offset[2], half)
    for axis in (x, y):
        span = _intersection(span, _slab(rays.along(axis), dot(offset, axis), half))
    for a, b in ((x, y), (x, VERTICAL), (y, VERTICAL)):
        for other, (first, second, limit) in itertools.product((b, scaled(b, -1.0)), EDGE_CUTS):
            cut = _sum(scaled(a, first), scaled(other, second))
            span = _intersection(span, _slab(rays.along(cut), dot(offset, cut), limit * half))
    for other in (y, scaled(y, -1.0)):
        for up in (VERTICAL, scaled(VERTICAL, -1.0)):
            cut = _sum(_sum(x, other), up)
            span = _intersection(span, _slab(rays.along(cut), dot(offset, cut), CORNER_SUM * half))
    return span


def _sum(a: Vector, b: Vector) -> Vector:
    return a[0] + b[0], a[1] + b[1], a[2] + b[2]


def _rotated_axes(rotation: float) -> tuple[Vector, Vector]:
    """The x and y axes after a rotation about z, in degrees."""
    angle = math.radians(rotation)
    cosine, sine = round(math.cos(angle), DECIMALS), round(math.sin(angle), DECIMALS)
    return (cosine, sine, 0.0), (-sine, cosine, 0.0)


def _roots(square: Array, half_linear: Array, constant: float) -> Span:
    """Both solutions of square * t^2 + 2 * half_linear * t + constant = 0."""
    root = np.sqrt(half_linear * half_linear - square * constant)
    return (-half_linear - root) / square, (root - half_linear) / square


def _slab(direction: Array, offset: float, half: float) -> Span:
    """The span between two parallel planes, at -half and half along an axis through the solid's center.

    direction and offset are the dot products of the axis with the rays and with their origin.
    """
    lower, upper = (-half - offset) / direction, (half - offset) / direction
    return np.minimum(lower, upper), np.maximum(lower, upper)


def _intersection(a: Span, b: Span) -> Span:
    return np.maximum(a[0], b[0]), np.minimum(a[1], b[1])


def _window(solid: Solid, camera: Camera) -> Box:
    """A part of the picture that contains the solid: the projection of a cube around it."""
    half = RADIUS[solid.kind.size]
    first, second = _rotated_axes(solid.rotation if solid.kind.shape == "cube" else 0.0)
    x, y, z = solid.coords
    corners = [
        camera.project((x + a * first[0] + b * second[0], y + a * first[1] + b * second[1], z + c))
        for a, b, c in itertools.product((-half, half), repeat=3)
    ]
    columns, rows, _ = zip(*corners, strict=True)
    left, top = max(0, math.floor(min(columns))), max(0, math.floor(min(rows)))
    return left, top, min(camera.width, math.ceil(max(columns))), min(camera.height, math.ceil(max(rows)))


def _extent(mask: npt.NDArray[np.bool_], window: Box) -> Visible:
    """Pixel count and bounding box of a mask that is false outside the window."""
    left, top, right, bottom = window
    shown = mask[top:bottom, left:right]
    columns, rows = np.flatnonzero(shown.any(axis=0)), np.flatnonzero(shown.any(axis=1))
    if not rows.size:
        return Visible(0, (0, 0, 0, 0))
    box = (left + int(columns[0]), top + int(rows[0]), left + int(columns[-1]) + 1, top + int(rows[-1]) + 1)
    return Visible(int(np.count_nonzero(shown)), box)
