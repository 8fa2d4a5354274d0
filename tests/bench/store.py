"""Measures the time to open and check a benchmark of 20,000 instances: python tests/bench/store.py"""

import tempfile
import time
from pathlib import Path

from harness.files import benchmark, store
from harness.files.benchmark import Benchmark, BenchmarkSpec
from harness.records import Instance, Override, Part, Policy

COUNT = 20_000


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        write(Path(folder))
        for _ in range(3):
            started = time.perf_counter()
            read = Benchmark(Path(folder)).instances("test")
            print(f"{len(read)} instances in {time.perf_counter() - started:.2f} s")


def write(folder: Path) -> None:
    question = "What is the response to this scene under policy L6-Surinu? " * 4
    policy = Policy("p", "clevrpolicy", "L6-Surinu", (Part("text", question),), {})
    instances = []
    (folder / "images").mkdir()
    for index in range(COUNT):
        image = f"images/test-{index:06d}.png"
        (folder / image).write_bytes(b"")
        query = (Part("image", image), Part("text", question))
        facts = {"scene": f"test-{index:06d}", "path": ["1", "1.2", "1.2.1"], "override_path": ["1", "1.1"]}
        instances.append(Instance(f"p-{index}", "test", query, facts, "p", "Case 3", Override("p", "Case 4")))
    store.write_lines(folder / benchmark.POLICIES, [policy])
    store.write_lines(folder / benchmark.instances_file("test"), instances)
    benchmark.seal(folder, BenchmarkSpec("clevrpolicy", {}, {}))


if __name__ == "__main__":
    main()
