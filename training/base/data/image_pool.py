"""The pictures that the base model learns from: scenes and crops, rendered once and stored as arrays.

All scenes belong to the training split by their content (clevrpolicy.scene.placement.split_of). No benchmark
tests on a scene with the same content.
"""

import multiprocessing
import os
from dataclasses import dataclass, fields
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from PIL import Image

from clevrpolicy.policy import tree
from clevrpolicy.scene import crops
from clevrpolicy.scene.ontology import KINDS, Kind
from clevrpolicy.scene.placement import place, split_of
from harness import seeds
from harness.errors import UserError
from harness.files import store
from harness.progress import Bar
from training.base.model.tokenizer import MAX_DEPTH

# Pixels of a scene and along the side of a crop, after the processor's resizing.
SCENE_WIDTH, SCENE_HEIGHT, CROP_SIDE = 168, 112, 84
# Scenes are rendered at these sizes in turn, so every fourth is a resized picture of full size.
RENDER_SIZES = ((160, 112), (160, 112), (160, 112), (480, 320))
# Number of objects in a scene.
MIN_OBJECTS, MAX_OBJECTS = 2, 6

Bytes = npt.NDArray[np.uint8]


@dataclass(frozen=True)
class ImagePool:
    """S scenes and C crops. Each field is stored in a file of its name."""

    scenes: Bytes  # (S, SCENE_HEIGHT, SCENE_WIDTH, 3)
    kinds: npt.NDArray[np.int64]  # (S, MAX_OBJECTS), indices into KINDS from left to right, -1 if missing
    spots: npt.NDArray[np.float32]  # (S, MAX_OBJECTS, 2), column and row of each center in pixels
    crops: Bytes  # (C, CROP_SIDE, CROP_SIDE, 3)
    crop_kinds: npt.NDArray[np.int64]  # (C,), indices into KINDS

    def content(self, scene: int) -> tuple[Kind, ...]:
        """The objects of a scene from left to right."""
        return tuple(KINDS[kind] for kind in self.kinds[scene] if kind >= 0)


def load_pool(folder: Path, seed: int, scenes: int, crops_a_kind: int, workers: int) -> ImagePool:
    """Load the pool from a folder, after rendering it if the folder is new.

    Raises UserError if the folder contains a pool with other settings.
    """
    settings = {"seed": seed, "scenes": scenes, "crops_a_kind": crops_a_kind}
    # Written last: if it exists, the arrays are complete.
    settings_file = folder / "pool.json"
    if not settings_file.exists():
        folder.mkdir(parents=True, exist_ok=True)
        for name, array in _render_pool(seed, scenes, crops_a_kind, workers).items():
            np.save(folder / f"{name}.npy", array)
        store.write_json(settings_file, settings)
    stored = store.read_json(settings_file, dict[str, int])
    if stored != settings:
        raise UserError(f"{folder}: expected pictures of {settings}, got {stored}; choose another folder")
    return ImagePool(**{field.name: np.load(folder / f"{field.name}.npy") for field in fields(ImagePool)})


def _render_pool(seed: int, scenes: int, crops_a_kind: int, workers: int) -> dict[str, npt.NDArray[Any]]:
    scene_jobs = [(seed, index) for index in range(scenes)]
    crop_jobs = [(seed, kind, index) for kind in range(len(KINDS)) for index in range(crops_a_kind)]
    context = multiprocessing.get_context("spawn")  # an OpenGL context does not survive a fork
    # By default Mesa starts one thread per core in each process.
    os.environ.setdefault("LP_NUM_THREADS", "0" if workers > 1 else "2")
    with context.Pool(workers) as pool:
        rendered = list(Bar(pool.imap(_render_scene, scene_jobs, chunksize=16), "scenes", len(scene_jobs)))
        crop_pictures = list(Bar(pool.imap(_render_crop, crop_jobs, chunksize=16), "crops", len(crop_jobs)))
    return {
        "scenes": np.stack([picture for picture, _, _ in rendered]),
        "kinds": np.array([kinds for _, kinds, _ in rendered]),
        "spots": np.array([spots for _, _, spots in rendered], dtype=np.float32),
        "crops": np.stack(crop_pictures),
        "crop_kinds": np.array([kind for _, kind, _ in crop_jobs]),
    }


@cache
def _renderer() -> Any:
    """One renderer for each worker process."""
    from clevrpolicy.scene.render import Renderer

    return Renderer()


def _render_scene(job: tuple[int, int]) -> tuple[Bytes, list[int], list[tuple[float, float]]]:
    """Return the picture, and the kinds and centers of its objects from left to right."""
    seed, index = job
    rng = seeds.rng(seed, "base", "scene", index)
    width, height = RENDER_SIZES[index % len(RENDER_SIZES)]
    # Like a benchmark's scene, it reaches a random leaf of a random tree.
    while True:
        decisions = tree.sample(rng, rng.randint(1, MAX_DEPTH))
        _, reach = rng.choice(list(decisions.leaves()))
        kinds = tree.witness(rng, reach, max(rng.randint(MIN_OBJECTS, MAX_OBJECTS), len(reach.needed)))
        if len(kinds) <= MAX_OBJECTS and split_of(kinds) == "train":
            break
    scene = place(kinds, rng, f"base-{index}", "train", width, height)
    picture = Image.fromarray(_renderer().render(scene))
    objects = sorted(scene.objects, key=lambda item: item.pixel_coords[0])
    coords = [item.pixel_coords for item in objects]
    centers = [(x * SCENE_WIDTH / width, y * SCENE_HEIGHT / height) for x, y, _ in coords]
    missing = MAX_OBJECTS - len(objects)
    return (
        _resize(picture, (SCENE_WIDTH, SCENE_HEIGHT)),
        [KINDS.index(item.kind) for item in objects] + [-1] * missing,
        centers + [(-1.0, -1.0)] * missing,
    )


def _render_crop(job: tuple[int, int, int]) -> Bytes:
    """A picture of one object of this kind, as ClevrPolicy-M shows attribute values."""
    seed, kind_index, index = job
    kind = KINDS[kind_index]
    rng = seeds.rng(seed, "base", "crop", *kind, index)
    # The benchmark's sampler fixes one attribute only. Sample until the others match, too.
    while True:
        scene = crops.demonstration("color", kind.color, rng)
        if scene.objects[0].kind == kind:
            return _resize(crops.crop(_renderer(), scene), (CROP_SIDE, CROP_SIDE))


def _resize(picture: Image.Image, size: tuple[int, int]) -> Bytes:
    return np.asarray(picture.resize(size, Image.Resampling.BICUBIC), dtype=np.uint8)
