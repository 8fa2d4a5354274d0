"""The `clevrpolicy` command: generate, import, skills, show, scenes."""

import os
from pathlib import Path
from typing import Any, Literal

from tyro.conf import Positional

from clevrpolicy.dataset.config import Config, SceneConfig, SkillsConfig
from harness.cli import show
from harness.console import command_line
from harness.engine import BlocksConfig

CORES = os.cpu_count() or 1


def generate(out: Positional[Path], /, config: SceneConfig, engine: BlocksConfig) -> None:
    """Generate a benchmark: policies, rendered scenes, questions. Rerun the same command to resume.

    Args:
        out: Folder of the new benchmark.
        config: Its complexity, size and presentation.
        engine: Which processes render.
    """
    from clevrpolicy.dataset.generate import SceneGenerator
    from harness.generation.blocks import generate_chosen

    print(generate_chosen(out, SceneGenerator(config), engine))


def import_(
    clevr: Positional[Path], out: Positional[Path], /, config: Config, *, workers: int = CORES
) -> None:
    """Generate a benchmark from the scenes and images of a local copy of the original CLEVR.

    Args:
        clevr: Folder with CLEVR's scenes/ and images/.
        out: Folder of the new benchmark.
        config: Its complexity, size and presentation.
        workers: Number of processes that render the pictures in the policies (--visual).
    """
    from clevrpolicy.dataset.importer import import_clevr
    from harness.files.benchmark import summary

    print(summary(out, import_clevr(clevr, out, config, workers)))


def skills(out: Positional[Path], /, config: SkillsConfig, *, workers: int = CORES) -> None:
    """Generate clevr-skills, a benchmark without policies: list objects, decide whether one exists, count.

    Args:
        out: Folder of the new benchmark.
        config: Number, size and contents of its scenes.
        workers: Number of processes that render.
    """
    from clevrpolicy.skills import generate as generate_skills
    from harness.files.benchmark import summary

    print(summary(out, generate_skills(out, config, workers)))


def scenes(
    benchmark: Positional[Path], split: Positional[Literal["train", "test"]], out: Positional[Path], /
) -> None:
    """Write the scenes of a split as one JSON file in CLEVR's format.

    Args:
        benchmark: Folder of a complete benchmark.
        split: The split to write; the test split of an imported benchmark is CLEVR's val.
        out: The file to write, such as CLEVR_val_scenes.json.
    """
    from clevrpolicy.dataset.importer import SPLITS
    from clevrpolicy.dataset.instances import SCENES
    from clevrpolicy.scene import clevr_json
    from harness.files import store
    from harness.files.benchmark import Benchmark
    from harness.files.kinds import require_replaceable

    require_replaceable(out, "a file of scenes that this command wrote", clevr_json.is_collection)
    all_scenes = Benchmark(benchmark).records(SCENES, dict[str, Any])
    selected = [scene for scene in all_scenes if scene["split"] in (split, SPLITS[split])]
    with store.writing(out):
        out.parent.mkdir(parents=True, exist_ok=True)
    store.write_json(out, clevr_json.collection(selected, split))
    print(out)


def main() -> None:
    command_line(
        {"generate": generate, "import": import_, "skills": skills, "show": show, "scenes": scenes},
        prog="clevrpolicy",
        description="Decision-tree policies over CLEVR-like scenes, as text (-T) or text with pictures (-M).",
    )
