"""`clevrpolicy generate`: sample policies, plan scenes for them, render, write the benchmark.

    for each block, in worker processes     plan its scenes, write its policies and instances
    for each picture, in worker processes   place its scene, render it (workers.py)
    for each block that has all pictures    write its scenes

harness/generation/blocks.py runs these steps, and resumes them.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clevrpolicy.dataset import blocks, instances, quotas
from clevrpolicy.dataset.blocks import Block, block_count
from clevrpolicy.dataset.config import SceneConfig
from clevrpolicy.dataset.instances import SCENES
from clevrpolicy.dataset.quotas import PLANNER, SceneSampler, SceneSpec
from clevrpolicy.dataset.workers import SceneJob
from clevrpolicy.policy.policies import FAMILY, sample_policy
from clevrpolicy.scene import clevr_json
from clevrpolicy.scene.ontology import Kind
from clevrpolicy.scene.render import VERSION
from harness.engine import Engine
from harness.files import benchmark, store
from harness.files.benchmark import PLAN, BenchmarkSpec, Manifest
from harness.generation.blocks import Generator, generate_all
from harness.generation.blocks import generate as generate_with
from harness.generation.jobs import Job, JobResult
from harness.progress import Bar
from harness.seeds import rng


@dataclass(frozen=True, slots=True)
class _Plan:
    """A task of a worker: the block to plan."""

    out: Path
    config: SceneConfig
    block: Block


def generate(out: Path, config: SceneConfig, workers: int) -> Manifest:
    """Generates a benchmark in out, or resumes an interrupted one with the same configuration."""
    return generate_all(out, SceneGenerator(config), workers)


def generate_blocks(out: Path, config: SceneConfig, engine: Engine, chosen: range) -> Manifest | None:
    """Generates the blocks of a benchmark with these numbers. Returns None if others are not complete."""
    return generate_with(out, SceneGenerator(config), engine, chosen)


class SceneGenerator(Generator[Block]):
    """Generates a benchmark with scenes of its own."""

    unit = "pictures"

    def __init__(self, config: SceneConfig) -> None:
        self.config = config
        self.spec = BenchmarkSpec(FAMILY, config.settings(), {"renderer": VERSION, "planner": PLANNER})
        self.count = block_count(config)

    def block(self, number: int) -> Block:
        return blocks.block(self.config, number)

    def plan(self, out: Path, blocks: Sequence[Block], engine: Engine) -> int:
        tasks = [_Plan(out, self.config, block) for block in blocks]
        if len(tasks) == 1:  # faster than starting a process
            return _plan(tasks[0])
        counts = engine.map(_plan, tasks)
        return sum(Bar(counts, desc="planning", unit=" blocks", total=len(tasks)))

    def jobs(self, out: Path, block: Block) -> list[Job]:
        return _jobs(out, self.config, block)

    def write(self, out: Path, block: Block, results: Sequence[JobResult]) -> None:
        if self.config.scenes == "pictures":
            scenes = (result.record for result in results if result.has_record)
            store.write_lines(out / block.folder / SCENES, scenes)


def _plan(task: _Plan) -> int:
    """Writes the plan of a block, and its policies and instances. Returns the number of its pictures."""
    out, config, block = task.out, task.config, task.block
    benchmark.require_begun(out)
    path = out / block.folder / PLAN
    if not path.exists():
        scenes = [scene for split in block.numbers for scene in _plan_split(config, block, split)]
        with store.writing(path.parent):
            path.parent.mkdir(parents=True, exist_ok=True)
        words = _place(out, config, block, scenes) if config.scenes == "words" else {}
        instances.write_instances(out, config, block, scenes, words)
        # Last, because it means that the other files are complete.
        store.write_lines(path, scenes)
    return len(_jobs(out, config, block))


def _place(
    out: Path, config: SceneConfig, block: Block, scenes: Sequence[SceneSpec]
) -> Mapping[str, Sequence[Kind]]:
    """Places scenes that are described in words. Returns their objects from left to right, by id."""
    records = [job.record() for job in _scene_jobs(config, scenes)]
    store.write_lines(out / block.folder / SCENES, records)
    return dict(map(clevr_json.kinds, records))


def _plan_split(config: SceneConfig, block: Block, split: str) -> Iterator[SceneSpec]:
    """The scenes that give each policy of the block its instances of a split."""
    numbers = block.numbers[split]
    trees = {}
    for index in block.policies:
        policy = sample_policy(config, index, block.folder)[0]
        trees[policy.policy.id] = policy.tree
    draw = rng(config.seed, "block", block.number, FAMILY, config.depth, split)
    sampler = SceneSampler(draw, split, config.min_objects, config.max_objects)
    allocations = (
        quotas.balanced(trees, numbers, config.seed, sampler)
        if config.balance == "leaf"
        else quotas.natural(tuple(trees), len(numbers), sampler)
    )
    for number, (kinds, policy_ids) in enumerate(allocations):
        yield SceneSpec(block.scene_id(split, number), split, kinds, policy_ids, folder=block.folder)


def _jobs(out: Path, config: SceneConfig, block: Block) -> list[Job]:
    """The pictures of a planned block."""
    crops = instances.crop_jobs(config, block)
    if config.scenes == "words":
        return list(crops)
    return [*_scene_jobs(config, store.read_lines(out / block.folder / PLAN, SceneSpec)), *crops]


def _scene_jobs(config: SceneConfig, scenes: Iterable[SceneSpec]) -> Iterator[SceneJob]:
    for index, scene in enumerate(scenes):
        yield SceneJob(scene, index, config.seed, config.width, config.height)
