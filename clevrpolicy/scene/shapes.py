"""The surfaces of CLEVR's three shapes and of its ground."""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from clevrpolicy.scene.ontology import RADIUS, Object

Array = npt.NDArray[np.float64]
Triangles = npt.NDArray[np.int64]

# Segments around the axis of a sphere or cylinder: less than a fifth of a pixel off the circle at 480 x 320.
SEGMENTS = 40
# Points along a rounded rim, and along half of a cube's rounded edge.
ARC = 5

# The ground begins below the camera and leads away from it. Its profile is a curve with a parameter t from 0
# to 1: the height is GROUND_HEIGHT t^4, and GROUND_ALONG are coefficients of the distance, the highest power
# first.
GROUND_START, GROUND_FORWARD = (9.334, -2.600), (-0.9040, 0.4275)
GROUND_ALONG = (-18.33, 82.09, -129.67, 93.78, 0.0)
GROUND_HEIGHT, GROUND_WIDTH = 23.21, 56.5
GROUND_ROWS = 48


class Surface(NamedTuple):
    """Vertices and triangles, which run counterclockwise as seen from outside or above."""

    positions: Array  # (vertices, 3)
    normals: Array  # (vertices, 3) unit vectors
    triangles: Triangles  # (triangles, 3) indices of vertices


class Rounding(NamedTuple):
    """How edges are rounded: between two faces, (x / reach)^exponent + (y / reach)^exponent = 1."""

    # Where the rounding begins: its distance from the edge, as a share of the radius.
    reach: float
    # 2 gives a quarter of a circle; the larger, the sharper the edge.
    exponent: float


# Measured on the meshes that CLEVR publishes. The cube's agrees to six decimals; corners have three terms.
CUBE = Rounding(0.25, 3.0)
CYLINDER = Rounding(0.1, 4.25)


def _grid(rows: int, columns: int) -> Triangles:
    """(triangles, 3) triangles of a grid of vertices, which are numbered row by row."""
    row, column = np.meshgrid(np.arange(rows - 1), np.arange(columns - 1), indexing="ij")
    corner = (row * columns + column).ravel()
    right, below = corner + 1, corner + columns
    return np.concatenate([np.stack([corner, right, below + 1], 1), np.stack([corner, below + 1, below], 1)])


def _revolved(profile: Array) -> Surface:
    """A profile rotated about z. Rows of the profile: radius, z, outward and upward part of the normal."""
    angle = np.linspace(0.0, 2.0 * math.pi, SEGMENTS + 1)[:, None]
    radius, z, outward, upward = profile.T
    flat = np.zeros_like(angle)
    positions = np.stack([np.cos(angle) * radius, np.sin(angle) * radius, flat + z], axis=-1)
    normals = np.stack([np.cos(angle) * outward, np.sin(angle) * outward, flat + upward], axis=-1)
    return Surface(positions.reshape(-1, 3), normals.reshape(-1, 3), _grid(SEGMENTS + 1, len(profile)))


def _sphere() -> Surface:
    angle = np.linspace(0.0, math.pi, SEGMENTS // 2 + 1)
    rim = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    return _revolved(np.hstack([rim, rim]))


def _rounded(normals: Array, rounding: Rounding) -> Array:
    """The points of a rounded edge with these (..., 2 or 3) normals, from where the rounding begins."""
    points = np.sign(normals) * np.abs(normals) ** (1.0 / (rounding.exponent - 1.0))
    length = (np.abs(points) ** rounding.exponent).sum(axis=-1, keepdims=True) ** (1.0 / rounding.exponent)
    edge: Array = rounding.reach * points / length
    return edge


def _cylinder() -> Surface:
    angle = np.linspace(0.0, 0.5 * math.pi, ARC)
    normals = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    edge = np.hstack([1.0 - CYLINDER.reach + _rounded(normals, CYLINDER), normals])
    lower = edge[::-1] * [1.0, -1.0, 1.0, -1.0]
    return _revolved(np.vstack([[0.0, 1.0, 0.0, 1.0], edge, lower, [0.0, -1.0, 0.0, -1.0]]))


def _cube() -> Surface:
    """Six faces. The outer rows and columns of each face are half of the rounded edge to the next face."""
    bend = np.tan(np.linspace(-0.25 * math.pi, 0.0, ARC))
    slope = np.concatenate([bend, -bend[::-1]])
    inner = np.repeat([CUBE.reach - 1.0, 1.0 - CUBE.reach], ARC)
    across, down = np.meshgrid(slope, slope, indexing="ij")
    normals = np.stack([across, down, np.ones_like(across)], axis=-1).reshape(-1, 3)
    normals /= np.sqrt((normals * normals).sum(axis=1, keepdims=True))
    across, down = np.meshgrid(inner, inner, indexing="ij")
    positions = np.stack([across, down, np.full_like(across, 1.0 - CUBE.reach)], axis=-1).reshape(-1, 3)
    top = Surface(positions + _rounded(normals, CUBE), normals, _grid(len(slope), len(slope))[:, ::-1])
    faces = [
        Surface(
            np.roll(top.positions * turn, axis, axis=1),
            np.roll(top.normals * turn, axis, axis=1),
            top.triangles,
        )
        for axis in range(3)
        for turn in (np.ones(3), np.array([1.0, -1.0, -1.0]))  # no turn, half a turn about x
    ]
    return joined(faces)


def joined(surfaces: Sequence[Surface]) -> Surface:
    starts = np.cumsum([0] + [len(s.positions) for s in surfaces[:-1]])
    return Surface(
        np.concatenate([s.positions for s in surfaces]),
        np.concatenate([s.normals for s in surfaces]),
        np.concatenate([s.triangles + start for s, start in zip(surfaces, starts, strict=True)]),
    )


SURFACES = {"cube": _cube(), "sphere": _sphere(), "cylinder": _cylinder()}


def placed(item: Object) -> Surface:
    """The surface of an object in world coordinates."""
    surface = SURFACES[item.kind.shape]
    angle = math.radians(item.rotation)
    cosine, sine = math.cos(angle), math.sin(angle)
    turn = np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    positions = surface.positions @ turn * RADIUS[item.kind.size] + item.coords
    return Surface(positions, surface.normals @ turn, surface.triangles)


def _ground() -> Surface:
    """CLEVR's ground: a strip that is flat around the objects, and bends up to a wall far behind them."""
    t = np.linspace(0.0, 1.0, GROUND_ROWS)
    along, height = np.polyval(GROUND_ALONG, t), GROUND_HEIGHT * t**4
    slope = np.stack([np.polyval(np.polyder(GROUND_ALONG), t), 4.0 * GROUND_HEIGHT * t**3], axis=1)
    slope /= np.hypot(*slope.T)[:, None]
    x, y = GROUND_FORWARD
    forward, up, left = np.array([x, y, 0.0]), np.array([0.0, 0.0, 1.0]), np.array([-y, x, 0.0])
    middle = np.array([*GROUND_START, 0.0]) + along[:, None] * forward + height[:, None] * up
    normals = slope[:, :1] * up - slope[:, 1:] * forward
    positions = np.concatenate([middle - GROUND_WIDTH / 2 * left, middle + GROUND_WIDTH / 2 * left])
    return Surface(positions, np.concatenate([normals, normals]), _grid(2, GROUND_ROWS))


GROUND = _ground()
