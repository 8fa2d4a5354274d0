"""The surfaces of CLEVR's three shapes, and all objects of a scene as one list of vertices.

One list, because every separate mesh costs some forty OpenGL calls per picture.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from clevrpolicy.scene.ontology import RADIUS, RGB, Object
from clevrpolicy.scene.visibility import BEVEL, half_side

Array = npt.NDArray[np.float64]
Triangles = npt.NDArray[np.int64]

# Radius of a cylinder's rounded rims, as a share of its radius: an edge that catches the light.
CYLINDER_BEVEL = 0.05
# Around the axis of a sphere or cylinder: less than a fifth of a pixel off the circle at 480 x 320.
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
    """A profile rotated about z. Rows of the profile: radius, z, and the normal outward and upward."""
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
    bevel = CYLINDER_BEVEL
    angle = np.linspace(0.0, 0.5 * math.pi, ARC)
    normals = np.stack([np.sin(angle), np.cos(angle)], axis=1)
    edge = np.hstack([1.0 - bevel + bevel * normals, normals])
    lower = edge[::-1] * [1.0, -1.0, 1.0, -1.0]
    return _revolved(np.vstack([[0.0, 1.0, 0.0, 1.0], edge, lower, [0.0, -1.0, 0.0, -1.0]]))


def _cube() -> Surface:
    """Six faces, each a grid whose outer bands bend over the bevel to meet the neighbors halfway."""
    bevel = BEVEL
    bend = np.tan(np.linspace(-0.25 * math.pi, 0.0, ARC))
    slope = np.concatenate([bend, -bend[::-1]])
    inner = np.repeat([bevel - 1.0, 1.0 - bevel], ARC)
    across, down = np.meshgrid(slope, slope, indexing="ij")
    normals = np.stack([across, down, np.ones_like(across)], axis=-1).reshape(-1, 3)
    normals /= np.sqrt((normals * normals).sum(axis=1, keepdims=True))
    across, down = np.meshgrid(inner, inner, indexing="ij")
    positions = np.stack([across, down, np.full_like(across, 1.0 - bevel)], axis=-1).reshape(-1, 3)
    top = Surface(positions + bevel * normals, normals, _grid(len(slope), len(slope))[:, ::-1])
    half_turn = np.array([1.0, -1.0, -1.0])
    faces = [
        Surface(
            np.roll(top.positions * turn, axis, axis=1),
            np.roll(top.normals * turn, axis, axis=1),
            top.triangles,
        )
        for axis in range(3)
        for turn in (np.ones(3), half_turn)
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
    """(3,) linear color: between CLEVR's bytes read as linear (too pale) and as sRGB (too dark)."""
    rgb: Array = (np.array(RGB[color]) / 255.0) ** 1.7
    return rgb


def scale(item: Object) -> float:
    """World units per unit of the shape's surface."""
    return half_side(item.kind) if item.kind.shape == "cube" else RADIUS[item.kind.size]


def vertices(objects: Sequence[Object]) -> Vertices:
    """The objects at their places, the nearest first, so that hidden surfaces are never shaded."""
    order = sorted(range(len(objects)), key=lambda index: objects[index].pixel_coords[2])
    placed = [_placed(objects[index]) for index in order]
    counts = [len(surface.positions) for surface in placed]
    colors = np.array([[*linear(objects[index].kind.color), _mark(index, objects[index])] for index in order])
    return Vertices(_joined(placed), np.repeat(colors, counts, axis=0))


def _mark(index: int, item: Object) -> float:
    """What surface.glsl needs beside the color: the object's index, plus a half if it is metal."""
    # In the alpha channel, because with an additional texture coordinate Mesa 22.3 writes past its buffers on
    # processors with 128-bit vectors (try LP_NATIVE_VECTOR_WIDTH=128).
    return index + (0.5 if item.kind.material == "metal" else 0.0)


def _placed(item: Object) -> Surface:
    surface = SURFACES[item.kind.shape]
    angle = math.radians(item.rotation)
    cosine, sine = math.cos(angle), math.sin(angle)
    turn = np.array([[cosine, sine, 0.0], [-sine, cosine, 0.0], [0.0, 0.0, 1.0]])
    return Surface(
        surface.positions @ turn * scale(item) + item.coords, surface.normals @ turn, surface.triangles
    )
