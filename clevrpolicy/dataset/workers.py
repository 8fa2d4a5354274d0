"""Placing scenes and drawing pictures in worker processes; killed at any moment, it goes on where it stopped.

Every job is seeded by its own name, so neither order nor number of workers shows in the result.
"""

from __future__ import annotations

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
from typing import TYPE_CHECKING, Any

from PIL import Image
from tqdm import tqdm

from clevrpolicy.scene import clevr_json, crops
from clevrpolicy.scene.ontology import Kind
from clevrpolicy.scene.placement import place
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import PROGRESS
from harness.seeds import rng

if TYPE_CHECKING:
    from clevrpolicy.scene.render import Renderer

COMPRESSION = 1
"""Of PNG: level 1 takes 6 ms a picture where level 6 takes five times as long, for a tenth more bytes."""


@dataclass(frozen=True, slots=True)
class SceneJob:
    """A scene to place and draw; path is the picture's, relative to the benchmark."""

    path: str
    seed: int
    scene_id: str
    index: int
    split: str
    kinds: tuple[Kind, ...]
    width: int
    height: int


@dataclass(frozen=True, slots=True)
class CropJob:
    """A picture that shows an attribute's value."""

    path: str
    seed: int
    attribute: str
    value: str


Job = SceneJob | CropJob


@dataclass(frozen=True, slots=True)
class Done:
    """A finished job: its picture, and the scene as CLEVR's JSON where it is one."""

    path: str
    sha256: str
    scene: dict[str, Any] | None = None


def produce(folder: Path, jobs: Sequence[Job], workers: int) -> dict[str, Done]:
    """Runs the jobs that are not done yet; by path, in the order of the jobs."""
    if workers < 1:
        raise UserError(f"workers: expected 1 or more, got {workers}")
    log = store.Log(folder / PROGRESS, Done)
    kept = {done.path: done for done in log.read() if _intact(folder, done)}
    missing = [job for job in jobs if job.path not in kept]
    for parent in {(folder / job.path).parent for job in missing}:
        parent.mkdir(parents=True, exist_ok=True)
    with tqdm(total=len(jobs), initial=len(jobs) - len(missing), desc="pictures", unit="") as progress:
        for done in _run(folder, missing, workers):
            log.append([done])
            kept[done.path] = done
            progress.update()
    return {job.path: kept[job.path] for job in jobs}


def _intact(folder: Path, done: Done) -> bool:
    path = folder / done.path
    return path.is_file() and store.sha256(path) == done.sha256


def _run(folder: Path, jobs: Sequence[Job], workers: int) -> Iterator[Done]:
    if not jobs:
        return
    # Spawned, because a forked OpenGL context is a broken one.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(min(workers, len(jobs)), context, _begin, (workers,)) as pool:
        futures: list[Future[Done]] = [pool.submit(_make, folder, job) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        except BrokenProcessPool as error:
            raise UserError(
                "a worker process died, perhaps for want of memory; run the same command again, "
                "with fewer --workers if it happens again"
            ) from error
        finally:
            pool.shutdown(cancel_futures=True)


def _begin(workers: int) -> None:
    """Sets a worker up: it leaves Ctrl-C to its parent, and goes when its parent is killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if workers > 1:
        os.environ["LP_NUM_THREADS"] = "0"  # Mesa would start a thread a core in each of the processes
    parent = multiprocessing.parent_process()
    if parent is not None:
        threading.Thread(target=_follow, args=(parent,), daemon=True).start()


def _follow(parent: multiprocessing.process.BaseProcess) -> None:
    parent.join()
    os._exit(1)


@cache
def _renderer() -> Renderer:
    """One for the life of a worker process."""
    from clevrpolicy.scene.render import Renderer

    return Renderer()


def _make(folder: Path, job: Job) -> Done:
    picture, scene = _draw_crop(job) if isinstance(job, CropJob) else _draw_scene(job)
    data = io.BytesIO()
    picture.save(data, "PNG", compress_level=COMPRESSION)
    path = folder / job.path
    store.write(path, data.getvalue())
    return Done(job.path, store.sha256(path), scene)


def _draw_scene(job: SceneJob) -> tuple[Image.Image, dict[str, Any]]:
    draw = rng(job.seed, "scene", job.scene_id)
    scene = place(job.kinds, draw, job.scene_id, job.split, job.width, job.height)
    return Image.fromarray(_renderer().render(scene)), clevr_json.encode(scene, job.index)


def _draw_crop(job: CropJob) -> tuple[Image.Image, None]:
    scene = crops.demonstration(job.attribute, job.value, rng(job.seed, "crop", job.path))
    return crops.crop(_renderer(), scene), None
