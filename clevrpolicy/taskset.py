"""An endless taskset for verifiers: questions about new scenes under the same policies, from a seed.

    vf-eval clevrpolicy --env.taskset.depth 4 --env.taskset.seed 7 -n 100

A scene is sampled for each leaf of each policy in turn, so that all answers are equally frequent. All scenes
have contents of the training split, so the test questions of a benchmark never occur.
"""

from collections.abc import Iterator
from itertools import count, cycle
from typing import Any, Literal

import msgspec
import verifiers.v1 as vf

from clevrpolicy.dataset import blocks
from clevrpolicy.dataset.config import SceneConfig
from clevrpolicy.dataset.instances import InstanceBuilder
from clevrpolicy.dataset.quotas import TRIES, SceneSampler, SceneSpec
from clevrpolicy.dataset.workers import SceneJob
from clevrpolicy.policy import reasoning
from clevrpolicy.policy.policies import FAMILY, TreePolicy, sample_policy
from clevrpolicy.scene import clevr_json
from clevrpolicy.scene.ontology import Kind
from clevrpolicy.scene.placement import split_of
from harness import variants
from harness.answer_key import KeyBenchmark, answer_key
from harness.errors import UserError
from harness.export.tools.hub import data_uri
from harness.export.tools.verifiers.tasks import PolicyTask, task_data
from harness.records import Part
from harness.seeds import rng

SPLIT = "train"


class ClevrPolicyConfig(vf.TasksetConfig):
    """Fields without a docstring are those of `clevrpolicy generate`."""

    seed: int = 0
    """Another seed has other policies and scenes."""
    depth: int = 2
    policies: int = 1
    variant: str = "internalized"
    """internalized, in_context or override."""
    scenes: Literal["pictures", "words"] = "pictures"
    min_objects: int = 3
    max_objects: int = 10
    width: int = 480
    height: int = 320


class ClevrPolicyTaskset(vf.Taskset[PolicyTask, ClevrPolicyConfig]):
    INFINITE = True

    def load(self) -> Iterator[PolicyTask]:
        asked = self.config
        names = ("seed", "depth", "policies", "scenes", "min_objects", "max_objects", "width", "height")
        config = SceneConfig(**{name: getattr(asked, name) for name in names})
        (variant,) = variants.parse(asked.variant)
        block = blocks.block(config, 0)
        groups = [sample_policy(config, index) for index in range(config.policies)]
        builders = [InstanceBuilder(group, block) for group in groups]
        records = {each.policy.id: each.policy for group in groups for each in group}
        benchmark = KeyBenchmark(FAMILY, config.settings(), records)
        draw = rng(config.seed, "taskset", FAMILY, config.depth)
        sampler = SceneSampler(draw, SPLIT, config.min_objects, config.max_objects)
        leaves = [(index, path) for index, group in enumerate(groups) for _, path in group[0].tree.leaves()]
        for number, (index, path) in zip(count(), cycle(leaves), strict=False):
            kinds = next((k for _ in range(TRIES) if split_of(k := sampler.sample(path)) == SPLIT), None)
            if kinds is None:
                raise UserError("max_objects: expected scenes for every response, found none; allow more")
            scene = SceneSpec(f"taskset-{number:06d}", SPLIT, kinds)
            job = SceneJob(scene, number, config.seed, config.width, config.height)
            shown, uris, ordered = _show(job, config.scenes == "words")
            instance = builders[index].instance(scene, shown)
            prompt = variants.prompt(instance, variant, records)
            assert prompt is not None
            yield PolicyTask(
                task_data(
                    f"{variant.name}/{instance.id}",
                    [(part.kind, uris.get(part.value, part.value)) for part in prompt.parts],
                    answer_key(benchmark, instance, variant),
                    _gold(groups[index], variants.policy_id(instance, variant), ordered),
                ),
                self.config.task,
            )


def _show(job: SceneJob, in_words: bool) -> tuple[Part, dict[str, str], tuple[Kind, ...]]:
    """A scene as a part of the question, the data URI of its picture by path, and its objects in order."""
    if in_words:
        _, kinds = clevr_json.kinds(job.record())
        return Part("text", f"{reasoning.description(kinds)}\n"), {}, kinds
    files, record = job.run(alone=True)
    _, kinds = clevr_json.kinds(msgspec.json.decode(record, type=dict[str, Any]))
    return Part("image", job.name), {job.name: data_uri(files[job.name], job.name)}, kinds


def _gold(group: tuple[TreePolicy, ...], policy: str | None, kinds: tuple[Kind, ...]) -> str:
    (tree,) = (each.tree for each in group if each.policy.id == policy)
    return reasoning.gold(tree, kinds)
