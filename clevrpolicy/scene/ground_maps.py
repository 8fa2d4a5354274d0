"""What objects do to the light on the ground, as two maps of it: they shade lamps, and they reflect light.

How a shadow is computed: from each point of the ground, a ray leads to the center of the lamp. It passes the
outline of the object at a distance `miss` (negative: the object blocks it), after a length `along`. The light
of a lamp, which is a disc, is a cone there; its radius is `width`. The share of the lamp that stays visible
depends on miss / width. So a shadow is sharp where it begins, and becomes softer farther from the object.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from clevrpolicy.scene.lamps import Lamp
from clevrpolicy.scene.ontology import RADIUS, RGB, Object

Array = npt.NDArray[np.floating[Any]]
# x, y and z of vectors from points of the ground.
Vectors = tuple[Array, Array, Array | float]

# The maps show x and y from -REACH to REACH; surface.glsl contains the same number.
REACH = 8.0
# The outline of a cube is that of a smaller cube, with this distance around it. As a share of half its side.
ROUND = 0.12
# Objects reflect light to the ground within this many radii of their centers.
TINT_REACH = 5.0


class Window:
    """A part of a map, between two corners in world units, as far as it is on the map."""

    def __init__(self, side: int, low: tuple[float, float], high: tuple[float, float]) -> None:
        scale = 0.5 * side / REACH
        starts = [max(0, math.floor((value + REACH) * scale)) for value in low]
        stops = [min(side, math.ceil((value + REACH) * scale)) for value in high]
        # Rows are y, columns are x.
        self.slices = slice(starts[1], stops[1]), slice(starts[0], stops[0])
        self.is_empty = starts[0] >= stops[0] or starts[1] >= stops[1]
        columns, rows = (np.arange(*ends, dtype=np.float32) for ends in zip(starts, stops, strict=True))
        # The centers of its texels in world units.
        self.x: Array = ((columns + 0.5) / scale - REACH)[None, :]
        self.y: Array = ((rows + 0.5) / scale - REACH)[:, None]


def shares(objects: Sequence[Object], lamps: Sequence[Lamp], side: int) -> npt.NDArray[np.uint8]:
    """(side, side, lamps) the share of each lamp that each point of the ground sees, of 255."""
    visible = np.ones((len(lamps), side, side), dtype=np.float32)
    for index, lamp in enumerate(lamps):
        for item in objects:
            window = _shaded(item, lamp, side)
            if not window.is_empty:
                visible[index][window.slices] *= _share(item, lamp, window)
    return _bytes(visible.transpose(1, 2, 0))


def tints(objects: Sequence[Object], side: int) -> npt.NDArray[np.uint8]:
    """(side, side, 4) objects that each point of the ground faces: red, green, blue, and their share, of 255.

    A share of 255 is that of a ball that touches the point. Colors are multiplied by the share.
    """
    faced = np.zeros((side, side, 4), dtype=np.float32)
    for item in objects:
        x, y, radius = *item.coords[:2], RADIUS[item.kind.size]
        reach = TINT_REACH * radius
        window = Window(side, (x - reach, y - reach), (x + reach, y + reach))
        square = (window.x - x) ** 2 + (window.y - y) ** 2 + radius * radius
        share = radius**3 / (square * np.sqrt(square))
        color = np.array([*RGB[item.kind.color], 255], dtype=np.float32) / 255
        faced[window.slices] += share[:, :, None] * color
    return _bytes(np.minimum(faced, 1.0))


def _bytes(values: Array) -> npt.NDArray[np.uint8]:
    return np.ascontiguousarray(values * 255 + 0.5, dtype=np.uint8)


def _shaded(item: Object, lamp: Lamp, side: int) -> Window:
    """The part of the map that an object can shade: the shadow of an upright box around it."""
    radius = RADIUS[item.kind.size]
    half = 1.1 * radius * (math.sqrt(2.0) if item.kind.shape == "cube" else 1.0)
    # Seen from the lamp's lower edge, the box's top hides points that are up to `stretch` times as far away.
    height = lamp.position[2] - lamp.radius
    stretch = height / max(height - 2.0 * radius, 0.1)
    margin = lamp.radius * (stretch - 1.0)
    lows, highs = zip(*_extents(item, lamp, half, stretch), strict=True)
    return Window(side, (lows[0] - margin, lows[1] - margin), (highs[0] + margin, highs[1] + margin))


def _extents(item: Object, lamp: Lamp, half: float, stretch: float) -> Iterator[tuple[float, float]]:
    """Least and greatest x, then y, of the box and of the shadow of its top."""
    for center, origin in zip(item.coords[:2], lamp.position[:2], strict=True):
        edges = center - half, center + half
        shadow = [origin + (edge - origin) * stretch for edge in edges]
        yield min(*edges, *shadow), max(*edges, *shadow)


def _share(item: Object, lamp: Lamp, window: Window) -> Array:
    """(rows, columns) the share of the lamp that the object leaves visible."""
    radius = RADIUS[item.kind.size]
    x, y, z = lamp.position[0] - window.x, lamp.position[1] - window.y, lamp.position[2]
    inverse = 1.0 / np.sqrt(x * x + y * y + z * z)
    way: tuple[Array, Array] = (x * inverse, y * inverse)
    center: tuple[Array, Array] = (item.coords[0] - window.x, item.coords[1] - window.y)
    if item.kind.shape == "sphere":
        past = _past_sphere
    elif item.kind.shape == "cylinder":
        past = _past_cylinder
        center = _outside(center, np.hypot(*center), radius)
    else:
        past = _past_cube
        way, center = _turned(way, item.rotation), _turned(center, item.rotation)
        center = _outside(center, np.maximum(np.abs(center[0]), np.abs(center[1])), radius)
    miss, along = past((*center, radius), (*way, z * inverse), radius)
    width = np.maximum(lamp.radius * inverse * along, 1e-3)
    share = np.clip(0.5 + 0.5 * miss / width, 0.0, 1.0)
    return share * share * (3.0 - 2.0 * share)


def _turned(vector: tuple[Array, Array], rotation: float) -> tuple[Array, Array]:
    """x and y along the axes of an object with this rotation in degrees."""
    angle = math.radians(rotation)
    cosine, sine = math.cos(angle), math.sin(angle)
    return vector[0] * cosine + vector[1] * sine, vector[1] * cosine - vector[0] * sine


def _outside(center: tuple[Array, Array], distance: Array, radius: float) -> tuple[Array, Array]:
    """The offsets of points under an object are replaced by those of points at its edge.

    They are dark, and filtering the map would spread this darkness around the object.
    """
    scale = np.maximum(1.02 * radius / np.maximum(distance, 1e-3), 1.0)
    return center[0] * scale, center[1] * scale


def _past_sphere(center: Vectors, way: Vectors, radius: float) -> tuple[Array, Array]:
    """miss and along of rays in these directions past a sphere."""
    along = center[0] * way[0] + center[1] * way[1] + center[2] * way[2]
    square = center[0] * center[0] + center[1] * center[1] + center[2] * center[2]
    return np.sqrt(np.maximum(square - along * along, 0.0)) - radius, along


def _past_cylinder(center: Vectors, way: Vectors, radius: float) -> tuple[Array, Array]:
    """Along the ray, a cylinder looks like a vertical line with an ellipse around each of its points."""
    level = np.maximum(np.hypot(way[0], way[1]), 1e-6)
    nearest = (center[0] * way[0] + center[1] * way[1]) / level
    sideward = (center[0] * way[1] - center[1] * way[0]) / level
    upward = np.maximum(np.abs(center[2] * level - nearest * way[2]) - radius * level, 0.0)
    # The distance from the ellipse, to first order.
    a, b = sideward / radius, upward / (radius * way[2])
    scale = np.hypot(a, b)
    miss = scale * (scale - 1.0) / np.maximum(np.hypot(a / radius, b / (radius * way[2])), 1e-4)
    return miss, np.clip(nearest / level, 0.0, 2.0 * radius / way[2])


def _past_cube(center: Vectors, way: Vectors, radius: float) -> tuple[Array, Array]:
    """Along the ray, a cube looks like a hexagon. Two of its sides are parallel to each axis of the cube."""
    size = [np.abs(part) + 1e-6 for part in way]
    misses, enters, leaves = [], [], []
    for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)):
        offset = np.abs(center[j] * way[k] - center[k] * way[j])
        misses.append((offset - radius * (1.0 - ROUND) * (size[j] + size[k])) / np.hypot(size[j], size[k]))
        middle, half = center[i] * np.sign(way[i]) / size[i], radius / size[i]
        enters.append(middle - half)
        leaves.append(middle + half)
    miss = np.maximum(np.maximum(misses[0], misses[1]), misses[2]) - ROUND * radius
    enter = np.maximum(np.maximum(enters[0], enters[1]), enters[2])
    leave = np.minimum(np.minimum(leaves[0], leaves[1]), leaves[2])
    return miss, np.clip(0.5 * (enter + leave), 0.0, 2.0 * radius / way[2])
