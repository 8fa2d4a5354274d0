"""CLEVR's four lamps: three square ones near the objects, and the sun."""

import math
from typing import NamedTuple

from clevrpolicy.scene.ontology import Vector


class SquareLamp(NamedTuple):
    """A lamp as CLEVR's Blender scene describes it. It faces the origin."""

    # World coordinates; scenes move each lamp randomly.
    position: Vector
    watts: float
    # World units.
    side: float
    color: Vector


class Lamp(NamedTuple):
    """A lamp for rendering: a disc that faces the origin."""

    # World coordinates, and units.
    position: Vector
    radius: float
    # Red, green and blue: what arrives at distance 1.
    intensity: Vector


LAMPS = {
    "key": SquareLamp((6.447, -2.905, 4.258), 78.54, 0.5, (1.0, 0.9323, 0.8167)),
    "fill": SquareLamp((-4.671, -4.014, 3.011), 23.56, 0.5, (0.7617, 0.8177, 1.0)),
    "back": SquareLamp((-1.169, 2.646, 5.816), 39.27, 1.0, (1.0, 1.0, 1.0)),
}
# The sun is so far away that its light falls in parallel; what arrives at the origin is 0.45.
SUN = Lamp((414.5, -194.6, 889.0), 100.0, (450_000.0, 450_000.0, 450_000.0))


def lamps(positions: dict[str, Vector]) -> list[Lamp]:
    """The three lamps of a scene at these positions, and the sun."""
    return [*(_disc(lamp, positions[name]) for name, lamp in LAMPS.items()), SUN]


def _disc(lamp: SquareLamp, position: Vector) -> Lamp:
    red, green, blue = lamp.color
    # Blender's watts: a surface that faces the lamp at distance 1 receives a quarter of them.
    arrives = 0.25 * lamp.watts
    return Lamp(position, lamp.side / math.sqrt(math.pi), (arrives * red, arrives * green, arrives * blue))
