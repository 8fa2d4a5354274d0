"""Places scenes and renders pictures in worker processes; can resume after a kill at any moment.

    command                                            workers
    read .progress.jsonl of a block, keep each result
    whose picture still has its sha256
    submit batches of jobs without a result  ------->  place each scene, render it, write the picture
    append the results to .progress.jsonl  <---------  RenderResult: path, sha256, the scene's JSON

A kill loses only the batches that are being rendered; the next run renders them again. Each job has its own
seed, so the results depend neither on the number of workers nor on the order of the jobs.
"""

from __future__ import annotations

import hashlib
import io
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import msgspec
from PIL import Image

from clevrpolicy.dataset.quotas import SceneSpec
from clevrpolicy.scene import clevr_json, crops
from clevrpolicy.scene.ontology import Scene
from clevrpolicy.scene.placement import place
from clevrpolicy.scene.render import Renderer
from harness.engine import Engine
from harness.files import store
from harness.files.benchmark import PROGRESS, require_begun
from harness.progress import Bar
from harness.seeds import rng

# PNG level 1 takes 6 ms per picture; level 6 takes five times as long for files that are a tenth smaller.
COMPRESSION = 1
# Pictures of a task: it takes long compared with sending it, and a kill loses little.
BATCH = 8


@dataclass(frozen=True, slots=True)
class SceneJob:
    """A scene to place and render."""

    scene: SceneSpec
    # The image_index in CLEVR's JSON.
    index: int
    seed: int
    width: int
    height: int

    @property
    def path(self) -> str:
        return self.scene.image

    def render(self, renderer: Renderer) -> tuple[Image.Image, msgspec.Raw]:
        scene = self._place()
        encoded = msgspec.json.encode(clevr_json.encode(scene, self.index))
        return Image.fromarray(renderer.render(scene)), msgspec.Raw(encoded)

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

    path: str
    seed: int
    attribute: str
    value: str

    def render(self, renderer: Renderer) -> tuple[Image.Image, msgspec.Raw]:
        scene = crops.demonstration(self.attribute, self.value, rng(self.seed, "crop", self.path))
        return crops.crop(renderer, scene), NO_SCENE


Job = SceneJob | CropJob
NO_SCENE = msgspec.Raw(b"null")


@dataclass(frozen=True, slots=True)
class RenderResult:
    """A written picture: its path within the benchmark, and the scene as CLEVR's JSON (null for a crop)."""

    path: str
    sha256: str
    scene: msgspec.Raw

    @property
    def has_scene(self) -> bool:
        return bytes(self.scene) != b"null"


@dataclass(frozen=True, slots=True)
class JobBlock:
    """The pictures of one block, which have a log of their own."""

    # Relative to the benchmark's folder and ending in "/", or empty.
    folder: str
    jobs: Sequence[Job]


@dataclass(frozen=True, slots=True)
class _Batch:
    """A task of a worker."""

    out: Path
    folder: str
    jobs: Sequence[Job]
    # Whether no other worker renders at the same time.
    alone: bool


def render_all(out: Path, jobs: Sequence[Job], engine: Engine) -> list[RenderResult]:
    """Renders the pictures of a benchmark without blocks. Returns their results in the order of the jobs."""
    ((_, results),) = render_blocks(out, [JobBlock("", jobs)], len(jobs), engine)
    return results


def render_blocks(
    out: Path, blocks: Iterable[JobBlock], total: int, engine: Engine
) -> Iterator[tuple[str, list[RenderResult]]]:
    """Runs the jobs that have no result yet.

    Yields the folder of each block as soon as it is complete, with the results of all its jobs in the order
    of the jobs. `total` is the number of all jobs.
    """
    # The blocks of which a batch is waiting or being rendered.
    started: dict[str, _Progress] = {}
    with Bar(total=total, desc="pictures", unit="") as bar:

        def batches() -> Iterator[_Batch]:
            for block in blocks:
                progress = started[block.folder] = _Progress(out, block)
                missing = progress.missing()
                bar.update(len(block.jobs) - len(missing))
                # Smaller batches if there would be fewer than two for each worker.
                size = min(BATCH, len(missing) // (2 * engine.workers) + 1)
                for start in range(0, len(missing), size):
                    jobs = missing[start : start + size]
                    yield _Batch(out, block.folder, jobs, alone=engine.workers == 1)

        def complete() -> Iterator[tuple[str, list[RenderResult]]]:
            for folder in [folder for folder, progress in started.items() if progress.is_complete]:
                yield folder, started.pop(folder).results()

        for folder, results in engine.map(_render_batch, batches()):
            started[folder].add(results)
            bar.update(len(results))
            yield from complete()
        yield from complete()  # those of which nothing was missing


class _Progress:
    """The results of a block so far."""

    def __init__(self, out: Path, block: JobBlock) -> None:
        """Reads the results of an interrupted command whose pictures are intact."""
        self.out, self.block = out, block
        self._log = store.Log(out / block.folder / PROGRESS, RenderResult)
        paths = {job.path for job in block.jobs}
        results: list[RenderResult] = self._log.read()
        self._results = {r.path: r for r in results if r.path in paths and self._is_intact(r)}

    @property
    def is_complete(self) -> bool:
        return len(self._results) == len(self.block.jobs)

    def missing(self) -> list[Job]:
        return [job for job in self.block.jobs if job.path not in self._results]

    def add(self, results: Sequence[RenderResult]) -> None:
        self._log.append(results)
        self._results |= {result.path: result for result in results}

    def results(self) -> list[RenderResult]:
        return [self._results[job.path] for job in self.block.jobs]

    def _is_intact(self, result: RenderResult) -> bool:
        path = self.out / result.path
        return path.is_file() and store.sha256(path) == result.sha256


@cache
def _renderer(alone: bool) -> Renderer:
    """The only renderer of this worker process."""
    if not alone:
        os.environ["LP_NUM_THREADS"] = "0"  # by default, Mesa starts one thread per core in each worker
    return Renderer()


def _render_batch(batch: _Batch) -> tuple[str, list[RenderResult]]:
    require_begun(batch.out)
    renderer = _renderer(batch.alone)
    results = []
    for job in batch.jobs:
        picture, scene = job.render(renderer)
        data = io.BytesIO()
        picture.save(data, "PNG", compress_level=COMPRESSION)
        path = batch.out / job.path
        with store.writing(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
        store.write(path, data.getvalue())
        results.append(RenderResult(job.path, hashlib.sha256(data.getvalue()).hexdigest(), scene))
    return batch.folder, results
