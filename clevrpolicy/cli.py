"""The `clevrpolicy` command: generate, import, skills, show, scenes."""

import os
from pathlib import Path
from typing import Any, Literal

from tyro.conf import Positional

from clevrpolicy.dataset.config import Config, SceneConfig
from clevrpolicy.dataset.generate import generate as generate_benchmark
from clevrpolicy.dataset.importer import SPLITS, import_clevr
from clevrpolicy.dataset.instances import SCENES
from clevrpolicy.scene import clevr_json
from clevrpolicy.skills import SkillsConfig
from clevrpolicy.skills import generate as generate_skills
from harness.console import command_line
from harness.files import store
from harness.files.benchmark import Benchmark, summary
from harness.show import show

CORES = os.cpu_count() or 1


def generate(out: Positional[Path], /, config: SceneConfig, *, workers: int = CORES) -> None:
    """Make a benchmark: policies, rendered scenes, questions. Interrupted, the same command goes on.

    Args:
        out: Folder of the new benchmark.
        config: What it is made of.
        workers: Processes that draw.
    """
    print(summary(out, generate_benchmark(out, config, workers)))


def import_(
    clevr: Positional[Path], out: Positional[Path], /, config: Config, *, workers: int = CORES
) -> None:
    """Make a benchmark on a local copy of the original CLEVR: its scenes JSON and images, not ours.

    Args:
        clevr: Folder with CLEVR's scenes/ and images/.
        out: Folder of the new benchmark.
        config: What it is made of.
        workers: Processes that draw the policies' pictures.
    """
    print(summary(out, import_clevr(clevr, out, config, workers)))


def skills(out: Positional[Path], /, config: SkillsConfig, *, workers: int = CORES) -> None:
    """Make clevr-skills, a benchmark without policies: list objects, say what exists, count.

    Args:
        out: Folder of the new benchmark.
        config: What it is made of.
        workers: Processes that draw.
    """
    print(summary(out, generate_skills(out, config, workers)))


def scenes(
    benchmark: Positional[Path], split: Positional[Literal["train", "test"]], out: Positional[Path], /
) -> None:
    """Write a split's scenes as the one JSON file that CLEVR's tools read.

    Args:
        benchmark: Folder of a complete benchmark.
        split: Which scenes; the test split of an imported benchmark is CLEVR's val.
        out: The file to write, such as CLEVR_val_scenes.json.
    """
    lines = Benchmark(benchmark).records(SCENES, dict[str, Any])
    wanted = [scene for scene in lines if scene["split"] in (split, SPLITS[split])]
    with store.writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    store.write_json(out, clevr_json.collection(wanted, split))
    print(out)


def main() -> None:
    command_line(
        {"generate": generate, "import": import_, "skills": skills, "show": show, "scenes": scenes},
        prog="clevrpolicy",
        description="Decision-tree policies over CLEVR-like scenes, as text (-T) or text with pictures (-M).",
    )
