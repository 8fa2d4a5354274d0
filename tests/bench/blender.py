"""Scenes that Blender rendered: the folder of tests/bench/clevr_fidelity.py and tests/bench/fit_look.py.

The folder has scenes.jsonl, scenes in the form of a benchmark, and images/NAME.png, Blender's pictures of
them. Heights, boxes and pixel counts are computed again, because earlier versions had smaller cubes.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt
from PIL import Image

from clevrpolicy.scene.camera import Camera
from clevrpolicy.scene.ontology import ATTRIBUTES, RADIUS, Kind, Object, Scene
from clevrpolicy.scene.visibility import Solid, owners, visible

T = TypeVar("T")
Picture = npt.NDArray[np.uint8]


class Rendered(NamedTuple):
    """A scene, and Blender's picture of it."""

    scene: Scene
    # (height, width, 3)
    picture: Picture
    # (height, width) index of the object that each pixel shows; -1 for the ground.
    owner: npt.NDArray[np.int16]


def rendered(folder: Path, shrink: int = 1) -> list[Rendered]:
    """The scenes of a folder whose pictures exist, in pictures of 1 / shrink of their width and height."""
    scenes = []
    for line in (folder / "scenes.jsonl").read_text().splitlines():
        data = json.loads(line)
        file = folder / "images" / data["image_filename"]
        if file.exists():
            width, height = data["width"] // shrink, data["height"] // shrink
            picture = Image.open(file).convert("RGB").resize((width, height), Image.Resampling.BOX)
            scene, owner = _scene(data, width, height)
            scenes.append(Rendered(scene, np.asarray(picture), owner))
    return scenes


def fitted(scenes: Sequence[T]) -> Sequence[T]:
    """The scenes that the look is fitted to."""
    return scenes[::2]


def unfitted(scenes: Sequence[T]) -> Sequence[T]:
    """The other ones."""
    return scenes[1::2]


def _scene(data: dict, width: int, height: int) -> tuple[Scene, npt.NDArray[np.int16]]:
    camera = Camera(tuple(data["camera"]), width, height)
    solids = []
    for o in data["objects"]:
        kind = Kind(*(o[name] for name in ATTRIBUTES))
        x, y, _ = o["3d_coords"]
        solids.append(Solid(kind, (x, y, RADIUS[kind.size]), o["rotation"]))
    objects = tuple(
        Object(*solid, camera.project(solid.coords), view.bbox, view.pixels)
        for solid, view in zip(solids, visible(solids, camera), strict=True)
    )
    lights = {name: tuple(position) for name, position in data["lights"].items()}
    name = Path(data["image_filename"]).stem
    scene = Scene(name, data["split"], width, height, objects, camera.position, lights)
    return scene, owners(solids, camera)
