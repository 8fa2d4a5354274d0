"""Cost of a picture: CPU-milliseconds per scene, over all threads, and peak memory.

    python tests/bench/render.py

CPU time, because generation runs one process per core, and because other processes hardly affect it.
"""

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


def sample_scene(index: int, width: int, height: int) -> Scene:
    rng = seeds.rng(7, "bench", index)
    return place(rng.choices(KINDS, k=rng.randint(3, 10)), rng, str(index), "bench", width, height)


def find_visible(scene: Scene) -> None:
    solids = [Solid(item.kind, item.coords, item.rotation) for item in scene.objects]
    visible(solids, Camera(scene.camera, scene.width, scene.height))


def cpu_ms(work: Callable[[Scene], object], scenes: list[Scene]) -> list[float]:
    """CPU-milliseconds of each scene, after a warm-up."""
    for scene in scenes[:WARM_UP]:
        work(scene)
    times = []
    for scene in scenes:
        start = time.process_time()
        work(scene)
        times.append(1000 * (time.process_time() - start))
    return times


def main() -> None:
    with Renderer() as renderer:
        print(f"version {VERSION}, {renderer.driver}; median CPU-ms of {SCENES} scenes of 3 to 10 objects")
        for width, height in SIZES:
            scenes = [sample_scene(index, width, height) for index in range(SCENES)]
            visibility, pictures = cpu_ms(find_visible, scenes), cpu_ms(renderer.render, scenes)
            both = [a + b for a, b in zip(visibility, pictures, strict=True)]
            figures = [f"{statistics.median(times):5.1f}" for times in (visibility, pictures, both)]
            print(f"{width} x {height}: visibility {figures[0]}, picture {figures[1]}, both {figures[2]}")
    print(f"peak memory {resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024:.0f} MiB")


if __name__ == "__main__":
    main()
