"""Pictures agree with visibility, and are identical when rendered again."""

import dataclasses
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from clevrpolicy.scene.camera import Camera
from clevrpolicy.scene.crops import SIDE, crop, demonstration
from clevrpolicy.scene.ontology import ATTRIBUTES, Kind, Scene
from clevrpolicy.scene.placement import place
from clevrpolicy.scene.render import Renderer, RenderError
from clevrpolicy.scene.visibility import Solid, owners
from harness import seeds

# Summed over three channels: more than the ground around an object changes, and less than the object itself.
MIN_CHANGE = 75


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    with Renderer() as opened:
        yield opened


def placed(*kinds: Kind, size: tuple[int, int] = (240, 160)) -> Scene:
    return place(kinds, seeds.rng(1, "render"), "scene", "test", *size)


def repainted(scene: Scene, index: int, **change: str) -> Scene:
    """The scene with other attributes of one of its objects, whose position stays the same."""
    objects = list(scene.objects)
    objects[index] = dataclasses.replace(objects[index], kind=objects[index].kind._replace(**change))
    return dataclasses.replace(scene, objects=tuple(objects))


def covered(renderer: Renderer, scene: Scene, index: int) -> npt.NDArray[np.bool_]:
    """Where a picture shows an object: the pixels that change when only the object's color changes."""
    one = renderer.render(repainted(scene, index, color="yellow")).astype(int)
    other = renderer.render(repainted(scene, index, color="blue")).astype(int)
    return np.abs(one - other).sum(axis=2) > MIN_CHANGE


@pytest.mark.parametrize("shape", ATTRIBUTES["shape"])
@pytest.mark.parametrize("size", ATTRIBUTES["size"])
def test_picture_agrees_with_visibility(renderer: Renderer, shape: str, size: str) -> None:
    kinds = [Kind(size, "gray", "rubber", shape)] * 4
    scene = placed(*kinds, size=(480, 320))
    solids = [Solid(item.kind, item.coords, item.rotation) for item in scene.objects]
    owner = owners(solids, Camera(scene.camera, scene.width, scene.height))
    for index in range(len(kinds)):
        rendered, exact = covered(renderer, scene, index), owner == index
        overlap = (rendered & exact).sum() / (rendered | exact).sum()
        assert overlap > 0.95, f"object {index}: {overlap:.3f}"


def test_rendering_a_scene_twice_gives_the_same_picture(renderer: Renderer) -> None:
    scene = placed(*[Kind("large", "red", "metal", shape) for shape in ATTRIBUTES["shape"]])
    first = renderer.render(scene)
    renderer.render(placed(Kind("small", "cyan", "metal", "cube"), size=(160, 112)))
    assert np.array_equal(first, renderer.render(scene))


def test_another_process_renders_the_same_bytes(renderer: Renderer) -> None:
    scene = demonstration("material", "metal", seeds.rng(3, "process"))
    program = (
        "import sys\n"
        "from clevrpolicy.scene import crops, render\n"
        "from harness import seeds\n"
        "scene = crops.demonstration('material', 'metal', seeds.rng(3, 'process'))\n"
        "sys.stdout.buffer.write(render.Renderer().render(scene).tobytes())"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    assert other.stdout == renderer.render(scene).tobytes()


@pytest.mark.parametrize("size", [(480, 320), (240, 160), (161, 113)])
def test_picture_has_the_size_of_the_scene(renderer: Renderer, size: tuple[int, int]) -> None:
    picture = renderer.render(placed(Kind("large", "red", "rubber", "cube"), size=size))
    assert picture.shape == (size[1], size[0], 3)
    assert picture.dtype == np.uint8


@pytest.mark.parametrize("shape", ATTRIBUTES["shape"])
def test_metal_looks_different_from_rubber(renderer: Renderer, shape: str) -> None:
    scene = placed(Kind("large", "green", "rubber", shape))
    left, top, right, bottom = scene.objects[0].bbox
    rubber, metal = (
        renderer.render(repainted(scene, 0, material=material))[top:bottom, left:right].astype(float)
        for material in ("rubber", "metal")
    )
    assert np.abs(rubber - metal).mean() > 8


@pytest.mark.parametrize("color", ATTRIBUTES["color"])
def test_colors_can_be_distinguished(renderer: Renderer, color: str) -> None:
    scene = placed(Kind("large", color, "rubber", "sphere"))
    column, row = (round(coordinate) for coordinate in scene.objects[0].pixel_coords[:2])
    center = slice(row - 3, row + 4), slice(column - 3, column + 4)
    means = {
        name: renderer.render(repainted(scene, 0, color=name))[center].mean(axis=(0, 1))
        for name in ATTRIBUTES["color"]
    }
    for name, mean in means.items():
        assert name == color or np.abs(mean - means[color]).max() > 25


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_demonstration_shows_one_object_with_the_value(attribute: str) -> None:
    for value in ATTRIBUTES[attribute]:
        scene = demonstration(attribute, value, seeds.rng(5, attribute, value))
        assert [getattr(item.kind, attribute) for item in scene.objects] == [value]


def test_demonstration_rejects_unknown_values() -> None:
    with pytest.raises(ValueError, match="color pink"):
        demonstration("color", "pink", seeds.rng(1))


def test_crops_show_size_at_a_fixed_scale(renderer: Renderer) -> None:
    pixels: dict[str, list[int]] = {"large": [], "small": []}
    for value, counts in pixels.items():
        for index in range(4):
            scene = demonstration("size", value, seeds.rng(index, "size"))
            assert crop(renderer, scene).size == (SIDE, SIDE)
            counts.append(covered(renderer, scene, 0).sum())
    assert min(pixels["large"]) > 2 * max(pixels["small"])


def test_crop_contains_the_entire_object(renderer: Renderer) -> None:
    scene = demonstration("shape", "cylinder", seeds.rng(2, "whole"))
    scene = repainted(scene, 0, size="large")
    picture = np.asarray(crop(renderer, scene)).astype(int)
    frame = np.concatenate([picture[0], picture[-1], picture[:, 0], picture[:, -1]])
    assert (frame.max(axis=1) - frame.min(axis=1)).max() < 30, "the frame of the crop shows only gray ground"


def test_crop_rejects_a_scene_of_several_objects(renderer: Renderer) -> None:
    with pytest.raises(ValueError, match="a demonstration has one object"):
        crop(renderer, placed(*[Kind("small", "red", "metal", "cube")] * 3, size=(480, 320)))


def test_a_scene_without_lamps_is_rejected(renderer: Renderer) -> None:
    dark = dataclasses.replace(placed(Kind("small", "red", "metal", "cube")), lights={})
    with pytest.raises(ValueError, match="lamps key, fill, back"):
        renderer.render(dark)


@pytest.mark.usefixtures("renderer")
def test_a_second_renderer_is_rejected_while_one_is_open() -> None:
    with pytest.raises(RenderError, match="already has an open Renderer"):
        Renderer()


def test_missing_egl_is_reported_with_what_to_install(tmp_path: Path) -> None:
    for name in ("libEGL.so", "libEGL.so.1"):
        (tmp_path / name).write_text("not a library")
    command = [sys.executable, "-c", "from clevrpolicy.scene.render import Renderer; Renderer()"]
    environment = {**os.environ, "LD_LIBRARY_PATH": str(tmp_path)}
    failed = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert "RenderError" in failed.stderr
    assert "apt-get install --no-install-recommends libegl1 libgl1" in failed.stderr
