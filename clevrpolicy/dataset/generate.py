"""`clevrpolicy generate`: sample policies, plan scenes for them, render, write the benchmark.

    for each block, in worker processes     plan its scenes, write its policies and instances
    for all blocks together                 render the pictures that are missing (workers.py)
    for each block that has all pictures    write its scenes and its manifest
    if all blocks are complete              write the benchmark's manifest

An interrupted command, when it is rerun, skips complete blocks, and continues with the missing pictures of
the others. Several commands may generate different blocks of one benchmark at the same time.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from clevrpolicy.dataset import blocks, instances, quotas
from clevrpolicy.dataset.blocks import Block, block_count
from clevrpolicy.dataset.config import SceneConfig
from clevrpolicy.dataset.instances import SCENES
from clevrpolicy.dataset.quotas import PLANNER, SceneSampler, SceneSpec
from clevrpolicy.dataset.workers import Job, JobBlock, SceneJob, render_blocks
from clevrpolicy.policy.policies import FAMILY, sample_policy
from clevrpolicy.scene import clevr_json
from clevrpolicy.scene.ontology import Kind
from clevrpolicy.scene.render import VERSION
from harness.engine import Engine, Local
from harness.files import benchmark, store
from harness.files.benchmark import PLAN, BenchmarkSpec, Manifest
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
    with Local(workers) as engine:
        manifest = generate_blocks(out, config, engine, range(block_count(config)))
    assert manifest is not None
    return manifest


def generate_blocks(out: Path, config: SceneConfig, engine: Engine, chosen: range) -> Manifest | None:
    """Generates the blocks of a benchmark with these numbers. Returns None if others are not complete."""
    spec = BenchmarkSpec(FAMILY, config.settings(), {"renderer": VERSION, "planner": PLANNER})
    with benchmark.creating(out, spec) as finished:
        if finished is not None:
            return finished
        count = block_count(config)
        missing = [
            block
            for number in chosen
            if not benchmark.block_manifest(out, spec, (block := blocks.block(config, number)).folder)
        ]
        pictures = plan_all(out, config, missing, engine)
        for folder, results in render_blocks(out, _job_blocks(out, config, missing), pictures, engine):
            if config.scenes == "pictures":
                scenes = (result.scene for result in results if result.has_scene)
                store.write_lines(out / folder / SCENES, scenes)
            known = {result.path: result.sha256 for result in results}
            manifest = benchmark.seal(out, spec, block=folder, known=known)
        if count > 1:
            return benchmark.join(out, spec, (blocks.block(config, number).folder for number in range(count)))
        return manifest


def plan_all(out: Path, config: SceneConfig, missing: Sequence[Block], engine: Engine) -> int:
    """Plans blocks. Returns the number of their pictures."""
    tasks = [_Plan(out, config, block) for block in missing]
    if len(tasks) == 1:  # faster than starting a process
        return _plan(tasks[0])
    counts = engine.map(_plan, tasks)
    return sum(Bar(counts, desc="planning", unit=" blocks", total=len(tasks)))


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


def _job_blocks(out: Path, config: SceneConfig, missing: Sequence[Block]) -> Iterator[JobBlock]:
    for block in missing:
        yield JobBlock(block.folder, _jobs(out, config, block))


def _jobs(out: Path, config: SceneConfig, block: Block) -> list[Job]:
    """The pictures of a planned block."""
    crops = instances.crop_jobs(config, block)
    if config.scenes == "words":
        return list(crops)
    return [*_scene_jobs(config, store.read_lines(out / block.folder / PLAN, SceneSpec)), *crops]


def _scene_jobs(config: SceneConfig, scenes: Iterable[SceneSpec]) -> Iterator[SceneJob]:
    for index, scene in enumerate(scenes):
        yield SceneJob(scene, index, config.seed, config.width, config.height)
