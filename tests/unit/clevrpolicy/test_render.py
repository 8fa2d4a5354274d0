"""The renderer draws the scene that visibility describes, and draws it the same way each time."""

from __future__ import annotations

import dataclasses
import hashlib
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
from clevrpolicy.scene.ontology import ATTRIBUTES, Kind, Object, Scene
from clevrpolicy.scene.placement import place
from clevrpolicy.scene.render import Renderer, RenderError
from clevrpolicy.scene.visibility import Solid, owners
from harness import seeds

LEAST_CHANGE = 90
"""Of three channels, between yellow and blue: about a third of the change of a pixel that is all object."""

Picture = npt.NDArray[np.uint8]


@pytest.fixture(scope="module")
def renderer() -> Iterator[Renderer]:
    with Renderer() as opened:
        yield opened


def scene(*kinds: Kind, size: tuple[int, int] = (240, 160), seed: int = 1) -> Scene:
    return place(kinds, seeds.rng(seed, "render"), "scene", "test", *size)


def repainted(shown: Scene, index: int, **change: str) -> Scene:
    """The scene with other attributes for one of its objects, in the same place."""
    objects = list(shown.objects)
    objects[index] = dataclasses.replace(objects[index], kind=objects[index].kind._replace(**change))
    return dataclasses.replace(shown, objects=tuple(objects))


def covered(renderer: Renderer, shown: Scene, index: int) -> npt.NDArray[np.bool_]:
    """Where a picture shows an object: where it changes when only that object's colour changes."""
    one = renderer.render(repainted(shown, index, color="yellow")).astype(int)
    other = renderer.render(repainted(shown, index, color="blue")).astype(int)
    change = np.abs(one - other).sum(axis=2)
    mask: npt.NDArray[np.bool_] = change > LEAST_CHANGE
    return mask


@pytest.mark.parametrize("shape", ATTRIBUTES["shape"])
@pytest.mark.parametrize("size", ATTRIBUTES["size"])
def test_picture_agrees_with_visibility(renderer: Renderer, shape: str, size: str) -> None:
    kinds = [Kind(size, "gray", "rubber", shape)] * 4
    shown = scene(*kinds, size=(480, 320))
    solids = [Solid(item.kind, item.coords, item.rotation) for item in shown.objects]
    owner = owners(solids, Camera(shown.camera, shown.width, shown.height))
    for index in range(len(kinds)):
        drawn, exact = covered(renderer, shown, index), owner == index
        overlap = (drawn & exact).sum() / (drawn | exact).sum()
        assert overlap > 0.95, f"object {index}: {overlap:.3f}"


def test_same_scene_twice_is_the_same_picture(renderer: Renderer) -> None:
    shown = scene(*[Kind("large", "red", "metal", shape) for shape in ATTRIBUTES["shape"]])
    first = renderer.render(shown)
    renderer.render(scene(Kind("small", "cyan", "metal", "cube"), size=(160, 112)))
    assert np.array_equal(first, renderer.render(shown))


def test_another_process_draws_the_same_bytes(renderer: Renderer) -> None:
    shown = demonstration("material", "metal", seeds.rng(3, "process"))
    program = (
        "import hashlib\n"
        "from clevrpolicy.scene.crops import demonstration\n"
        "from clevrpolicy.scene.render import Renderer\n"
        "from harness import seeds\n"
        "scene = demonstration('material', 'metal', seeds.rng(3, 'process'))\n"
        "print(hashlib.sha256(Renderer().render(scene).tobytes()).hexdigest())"
    )
    other = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert other.stdout.strip() == hashlib.sha256(renderer.render(shown).tobytes()).hexdigest()


@pytest.mark.parametrize("size", [(480, 320), (240, 160), (161, 113)])
def test_picture_has_the_scene_s_size(renderer: Renderer, size: tuple[int, int]) -> None:
    picture = renderer.render(scene(Kind("large", "red", "rubber", "cube"), size=size))
    assert picture.shape == (size[1], size[0], 3)
    assert picture.dtype == np.uint8


@pytest.mark.parametrize("shape", ATTRIBUTES["shape"])
def test_metal_mirrors_what_rubber_does_not(renderer: Renderer, shape: str) -> None:
    shown = scene(Kind("large", "green", "rubber", shape))
    left, top, right, bottom = shown.objects[0].bbox
    rubber, metal = (
        renderer.render(repainted(shown, 0, material=material))[top:bottom, left:right].astype(float)
        for material in ("rubber", "metal")
    )
    assert np.abs(rubber - metal).mean() > 8


@pytest.mark.parametrize("color", ATTRIBUTES["color"])
def test_colors_can_be_told_apart(renderer: Renderer, color: str) -> None:
    shown = scene(Kind("large", color, "rubber", "sphere"))
    pictures = {
        name: _middle(renderer.render(repainted(shown, 0, color=name)), shown.objects[0])
        for name in (ATTRIBUTES["color"])
    }
    for name, seen in pictures.items():
        assert name == color or np.abs(seen - pictures[color]).max() > 25


def _middle(picture: Picture, item: Object) -> npt.NDArray[np.float64]:
    column, row = round(item.pixel_coords[0]), round(item.pixel_coords[1])
    mean: npt.NDArray[np.float64] = picture[row - 3 : row + 4, column - 3 : column + 4].mean(axis=(0, 1))
    return mean


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_demonstration_shows_one_object_of_the_value(attribute: str) -> None:
    for value in ATTRIBUTES[attribute]:
        shown = demonstration(attribute, value, seeds.rng(5, attribute, value))
        assert [getattr(kind, attribute) for kind in shown.kinds] == [value]


def test_demonstration_refuses_what_clevr_lacks() -> None:
    with pytest.raises(ValueError, match="color pink"):
        demonstration("color", "pink", seeds.rng(1))


def test_crops_show_size_at_a_fixed_scale(renderer: Renderer) -> None:
    filled: dict[str, list[float]] = {"large": [], "small": []}
    for value, shares in filled.items():
        for index in range(4):
            shown = demonstration("size", value, seeds.rng(index, "size"))
            assert crop(renderer, shown).size == (SIDE, SIDE)
            shares.append(covered(renderer, shown, 0).sum())
    assert min(filled["large"]) > 2 * max(filled["small"])


def test_crop_holds_the_whole_object(renderer: Renderer) -> None:
    shown = demonstration("shape", "cylinder", seeds.rng(2, "whole"))
    shown = repainted(shown, 0, size="large")
    edge = np.asarray(crop(renderer, shown)).astype(int)
    frame = np.concatenate([edge[0], edge[-1], edge[:, 0], edge[:, -1]])
    assert (frame.max(axis=1) - frame.min(axis=1)).max() < 30, "the frame of the crop shows only gray ground"


def test_crop_refuses_a_scene_of_several_objects(renderer: Renderer) -> None:
    with pytest.raises(ValueError, match="a demonstration has one object"):
        crop(renderer, scene(*[Kind("small", "red", "metal", "cube")] * 3, size=(480, 320)))


def test_refuses_a_scene_without_lamps(renderer: Renderer) -> None:
    dark = dataclasses.replace(scene(Kind("small", "red", "metal", "cube")), lights={})
    with pytest.raises(ValueError, match="lamps key, fill, back"):
        renderer.render(dark)


@pytest.mark.usefixtures("renderer")
def test_one_renderer_at_a_time() -> None:
    with pytest.raises(RenderError, match="already has an open Renderer"):
        Renderer()


def test_says_what_to_install_where_egl_is_missing(tmp_path: Path) -> None:
    for name in ("libEGL.so", "libEGL.so.1"):
        (tmp_path / name).write_text("not a library")
    program = "from clevrpolicy.scene.render import Renderer; Renderer()"
    failed = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "LD_LIBRARY_PATH": str(tmp_path)},
    )
    assert "RenderError" in failed.stderr
    assert "apt-get install --no-install-recommends libegl1 libgl1" in failed.stderr
