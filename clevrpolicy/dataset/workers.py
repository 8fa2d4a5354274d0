"""Places scenes and renders pictures in worker processes; can resume after a kill at any moment.

    parent                                            workers
    read .progress.jsonl, keep each result whose
    picture still has its sha256
    submit the jobs without a result  ------------>   place the scene, render it, write the picture
    append the result to .progress.jsonl  <--------   RenderResult: path, sha256, the scene's JSON

A kill loses only the pictures that are being rendered; the next run renders them again. Each job has its own
seed, so the results depend neither on the number of workers nor on the order of the jobs.
"""

import io
import multiprocessing
import multiprocessing.process
import os
import signal
import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, as_completed
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from PIL import Image
from tqdm import tqdm

from clevrpolicy.dataset.quotas import SceneSpec
from clevrpolicy.scene import clevr_json, crops
from clevrpolicy.scene.ontology import Scene
from clevrpolicy.scene.placement import place
from clevrpolicy.scene.render import Renderer
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import PROGRESS
from harness.seeds import rng

# PNG level 1 takes 6 ms per picture; level 6 takes five times as long for files that are a tenth smaller.
COMPRESSION = 1


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

    def render(self, renderer: Renderer) -> tuple[Image.Image, dict[str, Any]]:
        scene = self._place()
        return Image.fromarray(renderer.render(scene)), clevr_json.encode(scene, self.index)

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

    def render(self, renderer: Renderer) -> tuple[Image.Image, None]:
        scene = crops.demonstration(self.attribute, self.value, rng(self.seed, "crop", self.path))
        return crops.crop(renderer, scene), None


Job = SceneJob | CropJob


@dataclass(frozen=True, slots=True)
class RenderResult:
    """A written picture: its path within the benchmark, and the scene as CLEVR's JSON (None for a crop)."""

    path: str
    sha256: str
    scene: dict[str, Any] | None = None


def render_all(folder: Path, jobs: Sequence[Job], workers: int) -> list[RenderResult]:
    """Runs the jobs that have no result yet. Returns the results of all jobs in the order of the jobs."""
    if workers < 1:
        raise UserError(f"workers: expected 1 or more, got {workers}")
    log = store.Log(folder / PROGRESS, RenderResult)
    results = {result.path: result for result in log.read() if _is_intact(folder, result)}
    missing = [job for job in jobs if job.path not in results]
    for parent in {(folder / job.path).parent for job in missing}:
        parent.mkdir(parents=True, exist_ok=True)
    done = len(jobs) - len(missing)
    with tqdm(total=len(jobs), initial=done, desc="pictures", unit="", disable=not jobs) as progress:
        for result in _run(folder, missing, workers):
            log.append([result])
            results[result.path] = result
            progress.update()
    return [results[job.path] for job in jobs]


def _is_intact(folder: Path, result: RenderResult) -> bool:
    path = folder / result.path
    return path.is_file() and store.sha256(path) == result.sha256


def _run(folder: Path, jobs: Sequence[Job], workers: int) -> Iterator[RenderResult]:
    """Yields the results in the order in which the jobs finish."""
    if not jobs:
        return
    # Workers are spawned, because an OpenGL context does not survive a fork.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(jobs)), context, _start_worker, (workers,)) as pool:
        futures: list[Future[RenderResult]] = [pool.submit(_render, folder, job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise UserError(
                "a worker process died, perhaps because memory ran out; run the same command again to "
                "resume, with fewer --workers if it happens again"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _start_worker(workers: int) -> None:
    """Leaves Ctrl-C to the parent, and ends the worker when the parent is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if workers > 1:
        os.environ["LP_NUM_THREADS"] = "0"  # by default, Mesa starts one thread per core in each worker
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_exit_after, args=(parent,), daemon=True).start()


def _exit_after(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)


# Returns the only renderer of this worker process.
_renderer = cache(Renderer)


def _render(folder: Path, job: Job) -> RenderResult:
    picture, scene = job.render(_renderer())
    data = io.BytesIO()
    picture.save(data, "PNG", compress_level=COMPRESSION)
    path = folder / job.path
    store.write(path, data.getvalue())
    return RenderResult(job.path, store.sha256(path), scene)
