"""The pictures that the base model learns from: scenes and crops, drawn once and kept as arrays of bytes.

All scenes belong to the training split by their content (clevrpolicy.scene.placement.split_of), so that
none has the content of a scene that any benchmark tests on.
"""

from __future__ import annotations

import multiprocessing
import os
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image
from tqdm import tqdm

from clevrpolicy.policy import tree
from clevrpolicy.scene import crops
from clevrpolicy.scene.ontology import KINDS, Kind
from clevrpolicy.scene.placement import place, split_of
from harness.errors import UserError
from harness.files import store
from harness.seeds import rng

WIDTH, HEIGHT, SIDE = 168, 112, 84
"""Pixels of a scene and of a crop's side, after the processor has resized them."""

DRAWN = ((160, 112), (160, 112), (160, 112), (480, 320))
"""Sizes at which scenes are drawn, each as often as the others: small ones, and one in four in full size."""

FEWEST, MOST = 2, 4
"""Objects in a scene."""

DEEPEST = 4
"""Scenes are made for a random leaf of a random tree of 1 to so many layers, as those of a benchmark are."""

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class Pool:
    """Scenes and crops; row i of every array is the same picture."""

    scenes: Bytes
    """(scenes, HEIGHT, WIDTH, 3)"""
    kinds: npt.NDArray[np.int64]
    """(scenes, MOST), indices into KINDS from left to right, -1 where there is no object."""
    spots: npt.NDArray[np.float32]
    """(scenes, MOST, 2), column and row of each object's centre in pixels."""
    crops: Bytes
    """(crops, SIDE, SIDE, 3)"""
    crop_kinds: npt.NDArray[np.int64]
    """(crops,), indices into KINDS."""

    def content(self, scene: int) -> tuple[Kind, ...]:
        """A scene's objects from left to right."""
        return tuple(KINDS[kind] for kind in self.kinds[scene] if kind >= 0)


def load(folder: Path, seed: int, scenes: int, crops_a_kind: int, workers: int) -> Pool:
    """The pool in folder, drawn first where it is not there; UserError where another one is there."""
    asked = {"seed": seed, "scenes": scenes, "crops_a_kind": crops_a_kind}
    sealed = folder / "pool.json"
    if not sealed.exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in _draw(seed, scenes, crops_a_kind, workers).items():
            np.save(folder / f"{name}.npy", array)
        store.write_json(sealed, asked)
    found = store.read_json(sealed, dict[str, int])
    if found != asked:
        raise UserError(f"{folder}: expected pictures drawn with {asked}, got {found}; name another folder")
    fields = ("scenes", "kinds", "spots", "crops", "crop_kinds")
    return Pool(**{name: np.load(folder / f"{name}.npy") for name in fields})


def _draw(seed: int, scenes: int, crops_a_kind: int, workers: int) -> dict[str, npt.NDArray[Any]]:
    shots = [(seed, index) for index in range(scenes)]
    demonstrations = [(seed, k, i) for k in range(len(KINDS)) for i in range(crops_a_kind)]
    context = multiprocessing.get_context("spawn")  # a forked OpenGL context is a broken one
    # Mesa would start a thread a core in each of the processes.
    os.environ.setdefault("LP_NUM_THREADS", "0" if workers > 1 else "2")
    with context.Pool(workers) as pool:
        drawn = list(tqdm(pool.imap(_scene, shots, chunksize=16), "scenes", len(shots)))
        cut = list(tqdm(pool.imap(_crop, demonstrations, chunksize=16), "crops", len(demonstrations)))
    return {
        "scenes": np.stack([picture for picture, _, _ in drawn]),
        "kinds": np.array([kinds for _, kinds, _ in drawn]),
        "spots": np.array([spots for _, _, spots in drawn], dtype=np.float32),
        "crops": np.stack(cut),
        "crop_kinds": np.array([kind for _, kind, _ in demonstrations]),
    }


@cache
def _renderer() -> Any:
    """One for the life of a worker process."""
    from clevrpolicy.scene.render import Renderer

    return Renderer()


def _scene(asked: tuple[int, int]) -> tuple[Bytes, list[int], list[tuple[float, float]]]:
    """Picture, and kinds and centres of its objects from left to right."""
    seed, index = asked
    draw = rng(seed, "base", "scene", index)
    width, height = DRAWN[index % len(DRAWN)]
    while True:
        decisions = tree.sample(draw, draw.randint(1, DEEPEST))
        _, reach = draw.choice(list(decisions.leaves()))
        kinds = tree.witness(draw, reach, max(draw.randint(FEWEST, MOST), len(reach.needed)))
        if len(kinds) <= MOST and split_of(kinds) == "train":
            break
    scene = place(kinds, draw, f"base-{index}", "train", width, height)
    picture = Image.fromarray(_renderer().render(scene))
    ordered = sorted(scene.objects, key=lambda item: item.pixel_coords[0])
    spots = [(o.pixel_coords[0] * WIDTH / width, o.pixel_coords[1] * HEIGHT / height) for o in ordered]
    absent = MOST - len(ordered)
    return (
        _resized(picture, (WIDTH, HEIGHT)),
        [KINDS.index(item.kind) for item in ordered] + [-1] * absent,
        spots + [(-1.0, -1.0)] * absent,
    )


def _crop(asked: tuple[int, int, int]) -> Bytes:
    """A demonstration of an object of this kind, as ClevrPolicy-M shows one."""
    seed, kind, index = asked
    scene = demonstration(KINDS[kind], seed, index)
    return _resized(crops.crop(_renderer(), scene), (SIDE, SIDE))


def demonstration(kind: Kind, seed: int, index: int) -> Any:
    """A demonstration scene whose object is of this kind: drawn until its other attributes fit."""
    draw = rng(seed, "base", "crop", *kind, index)
    while True:
        scene = crops.demonstration("color", kind.color, draw)
        if scene.objects[0].kind == kind:
            return scene


def _resized(picture: Image.Image, size: tuple[int, int]) -> Bytes:
    return np.asarray(picture.resize(size, Image.Resampling.BICUBIC), dtype=np.uint8)
