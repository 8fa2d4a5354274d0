"""The `clevrpolicy` command: generate, import, scenes, show."""

from __future__ import annotations

import os
from pathlib import Path

from tyro.conf import Positional

from clevrpolicy.config import SceneConfig
from clevrpolicy.generate import generate as generate_benchmark
from harness.benchmark import Manifest
from harness.console import command_line

CORES = os.cpu_count() or 1


def generate(out: Positional[Path], /, config: SceneConfig, *, workers: int = CORES) -> None:
    """Make a benchmark: policies, rendered scenes, questions. The same command again goes on where it stopped.

    Args:
        out: Folder of the new benchmark.
        config: What it is made of.
        workers: Processes that draw.
    """
    _tell(out, generate_benchmark(out, config, workers))


def _tell(out: Path, manifest: Manifest) -> None:
    counts = ", ".join(f"{n} {name.removesuffix('.jsonl')}" for name, n in manifest.counts.items())
    print(f"{out}: {counts}")
    print(f"digest {manifest.digest}")


def main() -> None:
    command_line(
        {"generate": generate},
        prog="clevrpolicy",
        description="Decision-tree policies over CLEVR-like scenes, as text (-T) or text with pictures (-M).",
    )
