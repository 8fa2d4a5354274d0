"""The surfaces of CLEVR's three shapes, and all objects of a scene as one list of vertices.

All objects are one mesh, because each additional mesh costs about forty OpenGL calls per picture.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from clevrpolicy.scene.ontology import RGB, Object
from clevrpolicy.scene.visibility import BEVEL, half_height

Array = npt.NDArray[np.float64]
Triangles = npt.NDArray[np.int64]

# Radius of a cylinder's rounded rims, as a share of the cylinder's radius. A rounded rim reflects the lamps.
CYLINDER_BEVEL = 0.05
# Segments around the axis of a sphere or cylinder: less than a fifth of a pixel off the circle at 480 x 320.
SEGMENTS = 40
# Points along a quarter of a circle, on a bevel.
ARC = 4


class Surface(NamedTuple):
    """A closed surface around the origin; triangles run counterclockwise as seen from outside."""

    positions: Array  # (vertices, 3)
    normals: Array  # (vertices, 3) unit vectors
    triangles: Triangles  # (triangles, 3) indices of vertices


class Vertices(NamedTuple):
    """All objects of a scene as one surface in world coordinates."""

    surface: Surface
    # (vertices, 4) linear red, green, blue, and the object's mark (_mark)
    colors: Array


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


def _cylinder() -> Surface:
    angle = np.linspace(0.0, 0.5 * math.pi, ARC)
    normals = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    edge = np.hstack([1.0 - CYLINDER_BEVEL + CYLINDER_BEVEL * normals, normals])
    lower = edge[::-1] * [1.0, -1.0, 1.0, -1.0]
    return _revolved(np.vstack([[0.0, 1.0, 0.0, 1.0], edge, lower, [0.0, -1.0, 0.0, -1.0]]))


def _cube() -> Surface:
    """Six faces. The outer rows and columns of each face are half of the rounded edge to the next face."""
    bend = np.tan(np.linspace(-0.25 * math.pi, 0.0, ARC))
    slope = np.concatenate([bend, -bend[::-1]])
    inner = np.repeat([BEVEL - 1.0, 1.0 - BEVEL], ARC)
    across, down = np.meshgrid(slope, slope, indexing="ij")
    normals = np.stack([across, down, np.ones_like(across)], axis=-1).reshape(-1, 3)
    normals /= np.sqrt((normals * normals).sum(axis=1, keepdims=True))
    across, down = np.meshgrid(inner, inner, indexing="ij")
    positions = np.stack([across, down, np.full_like(across, 1.0 - BEVEL)], axis=-1).reshape(-1, 3)
    top = Surface(positions + BEVEL * normals, normals, _grid(len(slope), len(slope))[:, ::-1])
    faces = [
        Surface(
            np.roll(top.positions * turn, axis, axis=1),
            np.roll(top.normals * turn, axis, axis=1),
            top.triangles,
        )
        for axis in range(3)
        for turn in (np.ones(3), np.array([1.0, -1.0, -1.0]))  # no turn, half a turn about x
    ]
    return _joined(faces)


def _joined(surfaces: Sequence[Surface]) -> Surface:
    starts = np.cumsum([0] + [len(s.positions) for s in surfaces[:-1]])
    return Surface(
        np.concatenate([s.positions for s in surfaces]),
        np.concatenate([s.normals for s in surfaces]),
        np.concatenate([s.triangles + start for s, start in zip(surfaces, starts, strict=True)]),
    )


SURFACES = {"cube": _cube(), "sphere": _sphere(), "cylinder": _cylinder()}


def linear(color: str) -> Array:
    """(3,) linear color. The exponent is a compromise: 1 would look too pale, and 2.2 (sRGB) too dark."""
    return (np.array(RGB[color]) / 255.0) ** 1.7


def vertices(objects: Sequence[Object]) -> Vertices:
    """The objects in world coordinates, the nearest first, so that hidden surfaces are not shaded."""
    order = sorted(range(len(objects)), key=lambda index: objects[index].pixel_coords[2])
    placed = [_placed(objects[index]) for index in order]
    counts = [len(surface.positions) for surface in placed]
    colors = np.array([[*linear(objects[index].kind.color), _mark(index, objects[index])] for index in order])
    return Vertices(_joined(placed), np.repeat(colors, counts, axis=0))


def _mark(index: int, item: Object) -> float:
    """What surface.glsl needs in addition to the color: the object's index, plus a half if it is metal."""
    # Stored in the alpha channel, because with an additional texture coordinate Mesa 22.3 writes past its
    # buffers on processors with 128-bit vectors (LP_NATIVE_VECTOR_WIDTH=128 reproduces this).
    return index + (0.5 if item.kind.material == "metal" else 0.0)


def _placed(item: Object) -> Surface:
    surface = SURFACES[item.kind.shape]
    angle = math.radians(item.rotation)
    cosine, sine = math.cos(angle), math.sin(angle)
    turn = np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    positions = surface.positions @ turn * half_height(item.kind) + item.coords
    return Surface(positions, surface.normals @ turn, surface.triangles)
