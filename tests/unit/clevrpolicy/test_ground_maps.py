"""Shadows are where objects block the way to a lamp, and soft where they should be."""

import math

import numpy as np
import pytest

from clevrpolicy.scene import ground_maps
from clevrpolicy.scene.ground_maps import REACH, Window
from clevrpolicy.scene.lamps import LAMPS, SUN, Lamp, lamps
from clevrpolicy.scene.ontology import ATTRIBUTES, RADIUS, RGB, Kind, Object, Vector

SIDE = 256
WHITE = (1.0, 1.0, 1.0)
LIT = 255


def thing(shape: str, size: str = "large", x: float = 0.5, y: float = -0.3, rotation: float = 25.0) -> Object:
    kind = Kind(size, "cyan", "rubber", shape)
    return Object(kind, (x, y, RADIUS[size]), rotation, (0.0, 0.0, 0.0), (0, 0, 1, 1), 1)


def everywhere() -> Window:
    return Window(SIDE, (-REACH, -REACH), (REACH, REACH))


def blocks(item: Object, points: np.ndarray) -> np.ndarray:
    """(...,) whether points are inside an object, (..., 3) in world coordinates."""
    radius = RADIUS[item.kind.size]
    x, y, z = np.moveaxis(points - np.array(item.coords), -1, 0)
    angle = math.radians(item.rotation)
    across, along = x * math.cos(angle) + y * math.sin(angle), y * math.cos(angle) - x * math.sin(angle)
    if item.kind.shape == "sphere":
        return x * x + y * y + z * z < radius * radius
    if item.kind.shape == "cylinder":
        return (x * x + y * y < radius * radius) & (np.abs(z) < radius)
    # The outline that ground_maps.py uses: rounded edges.
    inner = radius * (1.0 - ground_maps.ROUND)
    outside = np.maximum(np.abs(np.stack([across, along, z])) - inner, 0.0)
    return (outside**2).sum(axis=0) < (radius * ground_maps.ROUND) ** 2


@pytest.mark.parametrize("shape", ATTRIBUTES["shape"])
@pytest.mark.parametrize(
    "position", [(6.4, -2.9, 4.3), (-4.7, -4.0, 2.0), (0.4, 0.2, 6.0), (414.5, -194.6, 889.0)]
)
def test_a_point_is_dark_if_the_object_is_between_it_and_the_lamp(shape: str, position: Vector) -> None:
    item = thing(shape)
    window = everywhere()
    seen = ground_maps._share(item, Lamp(position, 1e-4, WHITE), window)
    x, y = np.broadcast_arrays(window.x, window.y)
    # Every third point of the map, and 600 points on the way to the lamp, as far as objects are high.
    ground = np.stack([x, y, np.zeros_like(x)], axis=-1)[::3, ::3, None, :]
    steps = np.linspace(0.0, 1.5 / position[2], 600)[:, None]
    blocked = blocks(item, ground + steps * (np.array(position) - ground)).any(axis=2)
    agrees = (seen[::3, ::3] < 0.5) == blocked
    # All but a few points at the edge of the shadow, and those under the object, whose darkness is left out.
    under = blocks(item, ground[:, :, 0] + [0.0, 0.0, RADIUS["large"]])
    assert blocked.sum() > 30
    assert (agrees | under).mean() > 0.998


@pytest.mark.parametrize("shape", ATTRIBUTES["shape"])
@pytest.mark.parametrize("size", ATTRIBUTES["size"])
def test_the_map_contains_entire_shadows(shape: str, size: str) -> None:
    item = thing(shape, size)
    for lamp in lamps({name: lamp.position for name, lamp in LAMPS.items()}):
        seen = ground_maps._share(item, lamp, everywhere())
        mapped = ground_maps.shares([item], [lamp], SIDE)[:, :, 0]
        assert np.abs(mapped / LIT - seen).max() < 0.02


def test_a_shadow_becomes_softer_with_the_distance_from_its_object() -> None:
    seen = ground_maps.shares([thing("cylinder", rotation=0.0)], [SUN], SIDE)[:, :, 0] / LIT
    soft = (seen > 0.1) & (seen < 0.9)
    distance = np.hypot(everywhere().x - 0.5, everywhere().y + 0.3)
    near, far = soft & (distance < 0.85), soft & (distance > 1.0)
    assert 0 < near.sum() < far.sum()


def test_shadows_of_one_lamp_leave_the_others_lit() -> None:
    placed = lamps({name: lamp.position for name, lamp in LAMPS.items()})
    seen = ground_maps.shares([thing("sphere"), thing("cube", "small", -2.0, 1.0)], placed, SIDE)
    assert seen.shape == (SIDE, SIDE, len(placed))
    assert all((seen[:, :, index] < LIT / 2).any() for index in range(len(placed)))
    assert (seen.max(axis=2) == LIT).mean() > 0.99


def test_the_ground_faces_an_object_most_where_it_touches_it() -> None:
    tint = ground_maps.tints([thing("sphere", x=0.0, y=0.0)], SIDE)
    middle = tint[SIDE // 2, SIDE // 2]
    assert middle[3] == pytest.approx(255, abs=3)
    assert middle[:3] == pytest.approx(np.array(RGB["cyan"]), abs=3)
    assert not tint[0].any()
    assert ground_maps.tints([], SIDE).max() == 0
