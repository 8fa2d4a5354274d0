"""The jobs of worker processes: place a scene and render it, or render a picture of a policy."""

from __future__ import annotations

import io
import os
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

import msgspec
from PIL import Image

from clevrpolicy.dataset.quotas import SceneSpec
from clevrpolicy.scene import clevr_json, crops
from clevrpolicy.scene.ontology import Scene
from clevrpolicy.scene.placement import place
from clevrpolicy.scene.render import Renderer
from harness.generation.jobs import NO_RECORD
from harness.seeds import rng

# PNG level 1 takes 6 ms per picture; level 6 takes five times as long for files that are a tenth smaller.
COMPRESSION = 1


@dataclass(frozen=True, slots=True)
class SceneJob:
    """A scene to place and render. Its record is CLEVR's JSON."""

    scene: SceneSpec
    # The image_index in CLEVR's JSON.
    index: int
    seed: int
    width: int
    height: int

    @property
    def name(self) -> str:
        return self.scene.image

    def run(self, alone: bool) -> tuple[Mapping[str, bytes], msgspec.Raw]:
        scene = self._place()
        picture = Image.fromarray(_renderer(alone).render(scene))
        encoded = msgspec.json.encode(clevr_json.encode(scene, self.index))
        return {self.name: _png(picture)}, msgspec.Raw(encoded)

    def record(self) -> dict[str, Any]:
        """The scene as CLEVR's JSON, without rendering it."""
        return clevr_json.encode(self._place(), self.index)

    def _place(self) -> Scene:
        spec = self.scene
        draw = rng(self.seed, "scene", spec.scene_id)
        return place(spec.kinds, draw, spec.scene_id, spec.split, self.width, self.height)


@dataclass(frozen=True, slots=True)
class CropJob:
    """A picture that shows an attribute's value in a policy (ClevrPolicy-M)."""

    # The path of the picture.
    name: str
    seed: int
    attribute: str
    value: str

    def run(self, alone: bool) -> tuple[Mapping[str, bytes], msgspec.Raw]:
        scene = crops.demonstration(self.attribute, self.value, rng(self.seed, "crop", self.name))
        return {self.name: _png(crops.crop(_renderer(alone), scene))}, NO_RECORD


@cache
def _renderer(alone: bool) -> Renderer:
    """The only renderer of this worker process."""
    if not alone:
        os.environ["LP_NUM_THREADS"] = "0"  # by default, Mesa starts one thread per core in each worker
    return Renderer()


def _png(picture: Image.Image) -> bytes:
    data = io.BytesIO()
    picture.save(data, "PNG", compress_level=COMPRESSION)
    return data.getvalue()
