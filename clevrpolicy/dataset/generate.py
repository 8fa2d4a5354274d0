"""`clevrpolicy generate`: policies, a plan of scenes for them, pictures, and the sealed benchmark."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import msgspec

from clevrpolicy.dataset import quotas
from clevrpolicy.dataset import workers as produce
from clevrpolicy.dataset.config import SceneConfig
from clevrpolicy.dataset.instances import Asked, Builder
from clevrpolicy.dataset.workers import SceneJob
from clevrpolicy.policy import policies as draft
from clevrpolicy.policy.policies import Draft
from clevrpolicy.scene.render import VERSION
from harness.files import benchmark
from harness.files.benchmark import BenchmarkSpec, Manifest
from harness.seeds import rng


def generate(out: Path, config: SceneConfig, workers: int) -> Manifest:
    """Makes a benchmark in out, or goes on with an interrupted one of the same configuration."""
    begun = BenchmarkSpec(draft.FAMILY, msgspec.to_builtins(config), {"renderer": VERSION})
    finished = benchmark.begin(out, begun)
    if finished is not None:
        return finished
    policies = draft.policies(config)
    asked = [scene for split in ("train", "test") for scene in _asked(config, policies, split)]
    builder = Builder(config, policies, asked)
    scenes = [_job(config, scene, index) for index, scene in enumerate(asked)]
    done = produce.produce(out, [*scenes, *builder.crops()], workers)
    return builder.write(out, begun, (d.scene for d in done.values() if d.scene is not None))


def _asked(config: SceneConfig, policies: list[Draft], split: str) -> Iterator[Asked]:
    trees = {d.policy.id: d.tree for d in policies}
    count = config.train if split == "train" else config.test
    draws = rng(config.seed, "plan", draft.FAMILY, config.depth, split)
    fresh = quotas.Fresh(draws, split, config.min_objects, config.max_objects)
    share = quotas.balanced if config.balance == "leaf" else quotas.natural
    for index, planned in enumerate(share(trees, count, fresh)):
        yield Asked(f"{split}-{index:06d}", split, planned)


def _job(config: SceneConfig, asked: Asked, index: int) -> SceneJob:
    kinds, size = asked.planned.kinds, (config.width, config.height)
    return SceneJob(asked.image, config.seed, asked.scene_id, index, asked.split, kinds, *size)
