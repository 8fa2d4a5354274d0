"""Time and memory of a benchmark with millions of instances, without its pictures and scenes.

    python tests/bench/scale.py FOLDER --train 900000 --test 100000

Plans all blocks, writes their policies, instances and manifests, and collects the results of the pictures of
the first ten blocks, without rendering them. With --read, opens the benchmark and reads the sample of
`eval --limit`. The figures are CPU-seconds of all processes, and the peak memory of one process.
"""

import argparse
import resource
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, cast

import msgspec

from clevrpolicy.dataset.config import SceneConfig
from clevrpolicy.dataset.generate import SceneGenerator
from clevrpolicy.policy.policies import FAMILY
from harness.engine import Engine, Local, R, T
from harness.files import benchmark
from harness.files.benchmark import Benchmark
from harness.generation.jobs import JobBlock, JobResult, run_blocks
from harness.records import Part, Run
from harness.sampling import scored_instances

USAGES = resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN


@contextmanager
def measured(step: str) -> Iterator[None]:
    """Prints the time of a step, and the peak memory until its end."""

    def cpu() -> float:
        return sum(u.ru_utime + u.ru_stime for u in map(resource.getrusage, USAGES))

    before, started = cpu(), time.monotonic()
    yield
    used, seconds = cpu() - before, time.monotonic() - started
    mib = max(resource.getrusage(usage).ru_maxrss for usage in USAGES) / 1024
    print(f"{step}: {used:.1f} CPU-s, {seconds:.1f} s, peak {mib:.0f} MiB", flush=True)


class Instant(Engine):
    """Gives each picture a result at once, with JSON of the usual length."""

    workers = 1

    def __exit__(self, *error: object) -> None:
        pass

    def map(self, function: Callable[[T], R], tasks: Iterable[T]) -> Iterator[R]:
        scene = msgspec.Raw(msgspec.json.encode("x" * 3000))
        for batch in cast(Any, tasks):
            results = [JobResult(job.name, {job.name: "0" * 64}, scene) for job in batch.jobs]
            yield cast(R, (batch.folder, results))


class WithoutPictures(Benchmark):
    """Accepts that the manifest lists no pictures."""

    def _check_images(self, owner: str, parts: Iterable[Part]) -> None:
        pass


def read(folder: Path) -> None:
    with measured("opening"):
        opened = WithoutPictures(folder)
    for limit in (100, 1000):
        run = Run("", "", "", FAMILY, "", "test", (), limit, 1, {}, sampled=True)
        with measured(f"reading a sample of {limit} of {opened.manifest.instances('test')}"):
            scored_instances(opened, run)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    for flag, value in {"depth": 4, "policies": 10, "train": 900_000, "test": 100_000, "workers": 1}.items():
        parser.add_argument(f"--{flag}", type=int, default=value)
    parser.add_argument("--read", action="store_true", help="read a folder that was written before")
    args = parser.parse_args()
    if args.read:
        read(args.folder)
        return
    config = SceneConfig(args.depth, args.policies, args.train, args.test)
    generator = SceneGenerator(config)
    parts = [generator.block(number) for number in range(generator.count)]
    spec = generator.spec
    benchmark.begin(args.folder, spec)
    with measured("planning"), Local(args.workers) as engine:
        scenes = generator.plan(args.folder, parts, engine)
    print(f"{len(parts)} blocks, {scenes} scenes, {args.policies * (args.train + args.test)} instances")
    first = {part.folder: part for part in parts[:10]}
    jobs = sum(len(generator.jobs(args.folder, part)) for part in first.values())
    with measured(f"work of the command for {jobs} pictures, without rendering"):
        waiting = (JobBlock(folder, generator.jobs(args.folder, part)) for folder, part in first.items())
        for folder, results in run_blocks(args.folder, waiting, jobs, Instant(), generator.unit):
            generator.write(args.folder, first[folder], results)
    with measured("manifests"):
        for part in parts:
            benchmark.seal(args.folder, spec, block=part.folder)
        benchmark.join(args.folder, spec, [part.folder for part in parts])
    print("run again with --read for the figures of reading, in a process of their own")


if __name__ == "__main__":
    main()
