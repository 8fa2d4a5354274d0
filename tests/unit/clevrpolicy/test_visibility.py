"""Visibility is exact. It decides which scenes are accepted, and is part of a benchmark's digest."""

import math
import subprocess
import sys

import numpy as np
import pytest

from clevrpolicy.scene.camera import Camera
from clevrpolicy.scene.ontology import ATTRIBUTES, RADIUS, Kind, Vector
from clevrpolicy.scene.shapes import SURFACES
from clevrpolicy.scene.visibility import CORNER_SUM, EDGE_CUTS, RIM_BALL, Solid, owners, visible
from harness import seeds

POSITION = (7.481, -6.508, 5.344)
CAMERA = Camera(POSITION, 480, 320)


def solid(shape: str, size: str, x: float, y: float, rotation: float = 0.0) -> Solid:
    kind = Kind(size, "red", "rubber", shape)
    return Solid(kind, (x, y, RADIUS[size]), rotation)


def scattered(seed: int) -> list[Solid]:
    rng = seeds.rng(seed, "scattered")
    places = [(x, y) for x in (-2.4, -0.8, 0.8, 2.4) for y in (-2.0, 0.0, 2.0)]
    rng.shuffle(places)
    return [
        solid(rng.choice(ATTRIBUTES["shape"]), rng.choice(ATTRIBUTES["size"]), x, y, rng.uniform(0, 360))
        for x, y in places[:9]
    ]


def test_camera_sees_the_origin_in_the_middle() -> None:
    assert CAMERA.project((0.0, 0.0, 0.0)) == pytest.approx((240, 160, math.hypot(*POSITION)))


def test_camera_spans_the_horizontal_field_of_view() -> None:
    basis = CAMERA.basis
    slope = math.tan(math.radians(49.134) / 2)
    edge = tuple(p + f + slope * r for p, f, r in zip(POSITION, basis.forward, basis.right, strict=True))
    assert CAMERA.project((edge[0], edge[1], edge[2]))[0] == pytest.approx(480, abs=0.01)


@pytest.mark.parametrize("position, width, height", [((1.0, 1.0, 1.0), 100, 200), ((0.0, 0.0, 5.0), 20, 10)])
def test_camera_rejects_bad_sizes_and_positions(position: Vector, width: int, height: int) -> None:
    with pytest.raises(ValueError, match="must"):
        Camera(position, width, height)


def test_camera_rejects_a_point_behind_it() -> None:
    with pytest.raises(ValueError, match="behind the camera"):
        CAMERA.project((20.0, -18.0, 15.0))


def test_lone_sphere_covers_its_projected_area() -> None:
    ball = solid("sphere", "large", 0.3, -0.2)
    distance = math.dist(ball.coords, POSITION)
    # A sphere near the optical axis appears as a disc; its rim is where rays touch the sphere.
    rim = CAMERA.focal * 0.7 / math.sqrt(distance**2 - 0.7**2)
    (view,) = visible([ball], CAMERA)
    assert view.pixels == pytest.approx(math.pi * rim**2, rel=0.02)


@pytest.mark.parametrize("shape", ATTRIBUTES["shape"])
def test_large_hides_small_behind_it(shape: str) -> None:
    x, y = (-1.6 * coordinate / math.hypot(*POSITION[:2]) for coordinate in POSITION[:2])
    small = solid("sphere", "small", x, y)
    wall = solid(shape, "large", 0.0, 0.0, 48.0)
    low = Camera((POSITION[0], POSITION[1], 1.0), 480, 320)
    for pair in ([small, wall], [wall, small]):
        views = dict(zip(pair, visible(pair, low), strict=True))
        assert views[small].pixels == 0
        assert views[small].bbox == (0, 0, 0, 0)
        assert views[wall].pixels > 1000


def test_pixels_sum_to_the_union() -> None:
    solids = scattered(3)
    together = visible(solids, CAMERA)
    union = np.zeros((320, 480), dtype=bool)
    for item, view in zip(solids, together, strict=True):
        alone = owners([item], CAMERA) == 0
        assert view.pixels <= alone.sum()
        union |= alone
    assert sum(view.pixels for view in together) == union.sum()


@pytest.mark.parametrize("seed", range(5))
def test_boxes_contain_the_pixels_and_the_center(seed: int) -> None:
    for item in scattered(seed):
        (view,) = visible([item], CAMERA)
        left, top, right, bottom = view.bbox
        column, row, _ = CAMERA.project(item.coords)
        assert left < column < right
        assert top < row < bottom
        assert view.pixels <= (right - left) * (bottom - top)


def test_box_ends_at_the_edge_of_the_picture() -> None:
    (view,) = visible([solid("cylinder", "large", 4.2, -1.2)], CAMERA)
    assert view.pixels > 0
    assert view.bbox[2] == 480 or view.bbox[3] == 320


def test_cube_rotated_by_a_right_angle_is_the_same_cube() -> None:
    cube, rotated = (solid("cube", "large", 1.0, 1.0, rotation) for rotation in (17.0, 107.0))
    assert visible([cube], CAMERA) == visible([rotated], CAMERA)


def test_counts_are_the_same_on_every_machine() -> None:
    """If these numbers change, the digest of every benchmark changes."""
    counts = [view.pixels for view in visible(scattered(7), CAMERA)]
    assert counts == [1068, 788, 650, 830, 1773, 980, 1211, 4969, 882]


def test_cuts_touch_the_rounded_edges_of_the_drawn_shapes() -> None:
    cube = np.sort(np.abs(SURFACES["cube"].positions), axis=1)
    for first, second, limit in EDGE_CUTS:
        sums = np.maximum(cube[:, 2] * first + cube[:, 1] * second, cube[:, 1] * first + cube[:, 2] * second)
        assert sums.max() == pytest.approx(limit, abs=5e-3)
    assert cube.sum(axis=1).max() == pytest.approx(CORNER_SUM, abs=2e-3)
    assert np.linalg.norm(SURFACES["cylinder"].positions, axis=1).max() == pytest.approx(RIM_BALL, abs=2e-3)


def test_imports_neither_renderer_nor_torch() -> None:
    program = (
        "import sys, clevrpolicy.scene.visibility; print({'pyrender', 'torch', 'OpenGL'} & {*sys.modules})"
    )
    output = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert output.stdout.strip() == "set()"
