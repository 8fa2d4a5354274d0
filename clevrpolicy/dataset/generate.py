"""`clevrpolicy generate`: sample policies, plan scenes for them, render, write the benchmark.

Only rendering takes long. An interrupted command, when it is rerun, recomputes everything else with the same
result and renders only the missing pictures (workers.py).
"""

from pathlib import Path

from tqdm import tqdm

from clevrpolicy.dataset import quotas
from clevrpolicy.dataset.config import SceneConfig
from clevrpolicy.dataset.instances import BenchmarkBuilder
from clevrpolicy.dataset.quotas import PLANNER, SceneSampler, SceneSpec
from clevrpolicy.dataset.workers import SceneJob, render_all
from clevrpolicy.policy.policies import FAMILY, TreePolicy, sample_policies
from clevrpolicy.scene import clevr_json
from clevrpolicy.scene.render import VERSION
from harness.files import benchmark
from harness.files.benchmark import BenchmarkSpec, Manifest
from harness.seeds import rng


def generate(out: Path, config: SceneConfig, workers: int) -> Manifest:
    """Generates a benchmark in out, or resumes an interrupted one with the same configuration."""
    spec = BenchmarkSpec(FAMILY, config.settings(), {"renderer": VERSION, "planner": PLANNER})
    with benchmark.creating(out, spec) as finished:
        if finished is not None:
            return finished
        policies = sample_policies(config)
        scenes = [
            *_plan(config, policies, "train", config.train),
            *_plan(config, policies, "test", config.test),
        ]
        scene_jobs = [
            SceneJob(scene, index, config.seed, config.width, config.height)
            for index, scene in enumerate(scenes)
        ]
        if config.scenes == "words":
            records = [job.record() for job in tqdm(scene_jobs, desc="scenes", unit="")]
            builder = BenchmarkBuilder(config, policies, scenes, dict(map(clevr_json.kinds, records)))
            render_all(out, list(builder.crop_jobs()), workers)
            return builder.write(out, spec, records)
        builder = BenchmarkBuilder(config, policies, scenes)
        results = render_all(out, [*scene_jobs, *builder.crop_jobs()], workers)
        return builder.write(out, spec, (result.scene for result in results if result.scene is not None))


def _plan(config: SceneConfig, policies: list[TreePolicy], split: str, count: int) -> list[SceneSpec]:
    """The scenes of a split that give count instances per policy."""
    trees = {policy.policy.id: policy.tree for policy in policies}
    draw = rng(config.seed, "block", 0, FAMILY, config.depth, split)
    sampler = SceneSampler(draw, split, config.min_objects, config.max_objects)
    allocations = (
        quotas.balanced(trees, range(count), config.seed, sampler)
        if config.balance == "leaf"
        else quotas.natural(tuple(trees), count, sampler)
    )
    return [
        SceneSpec(f"{split}-{number:06d}", split, kinds, policy_ids)
        for number, (kinds, policy_ids) in enumerate(allocations)
    ]
