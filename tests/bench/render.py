"""What a picture costs: CPU-milliseconds per scene, over all threads, and peak memory.

    python tests/bench/render.py

CPU time, because generation runs one process per core, and because it hardly depends on what else runs.
"""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Callable

from clevrpolicy.scene.camera import Camera
from clevrpolicy.scene.ontology import KINDS, Scene
from clevrpolicy.scene.placement import place
from clevrpolicy.scene.render import VERSION, Renderer
from clevrpolicy.scene.visibility import Solid, visible
from harness import seeds

SIZES = ((480, 320), (240, 160))
SCENES, WARM_UP = 50, 10


def scene(index: int, width: int, height: int) -> Scene:
    rng = seeds.rng(7, "bench", index)
    return place(rng.choices(KINDS, k=rng.randint(3, 10)), rng, str(index), "bench", width, height)


def look(shown: Scene) -> None:
    solids = [Solid(item.kind, item.coords, item.rotation) for item in shown.objects]
    visible(solids, Camera(shown.camera, shown.width, shown.height))


def spent(work: Callable[[Scene], object], scenes: list[Scene]) -> list[float]:
    """CPU-milliseconds of each scene, after some scenes that do not count."""
    for shown in scenes[:WARM_UP]:
        work(shown)
    times = []
    for shown in scenes:
        start = time.process_time()
        work(shown)
        times.append(1000 * (time.process_time() - start))
    return times


def main() -> None:
    with Renderer() as renderer:
        print(f"look {VERSION}, {renderer.driver}; median CPU-ms of {SCENES} scenes of 3 to 10 objects")
        for width, height in SIZES:
            scenes = [scene(index, width, height) for index in range(SCENES)]
            looks, pictures = spent(look, scenes), spent(renderer.render, scenes)
            both = [a + b for a, b in zip(looks, pictures, strict=True)]
            figures = [f"{statistics.median(times):5.1f}" for times in (looks, pictures, both)]
            print(f"{width} x {height}: visibility {figures[0]}, picture {figures[1]}, both {figures[2]}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
