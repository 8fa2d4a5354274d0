"""Builds a benchmark's instances from policies and scenes, with override answers and recall questions."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from clevrpolicy.dataset.config import Config
from clevrpolicy.dataset.quotas import SceneSpec
from clevrpolicy.dataset.workers import CropJob
from clevrpolicy.policy import reasoning
from clevrpolicy.policy.policies import TreePolicy, sample_replacement
from clevrpolicy.policy.tree import mask
from clevrpolicy.scene.ontology import Kind
from harness.files import benchmark, store
from harness.files.benchmark import BenchmarkSpec, Manifest
from harness.parsing import FORMAT
from harness.records import Instance, Override, Part

SCENES = "scenes.jsonl"
# Initial number of replacements per policy; if none of them changes an instance's answer, more are sampled.
REPLACEMENTS = 3
QUESTION = "What is the response to this scene under policy {name}?"


class BenchmarkBuilder:
    """Builds a benchmark's instances and the replacement policies that their override variants need.

    Among the replacements that change its answer, each instance uses the one whose new answer has been used
    least so far. Otherwise a constant answer could score well under override, because scenes are balanced
    only for the policy itself.
    """

    def __init__(
        self,
        config: Config,
        policies: list[TreePolicy],
        scenes: Iterable[SceneSpec],
        words: Mapping[str, Sequence[Kind]] = {},
    ) -> None:
        """`words`: by id of a scene that is described in words, its objects from left to right."""
        self.config, self.policies, self.words = config, policies, words
        self.replacements = [
            [sample_replacement(config, policy, index, number) for number in range(REPLACEMENTS)]
            for index, policy in enumerate(policies)
        ]
        # Number of instances by split, id of the replacement and new case.
        self.override_counts: Counter[tuple[str, str, int]] = Counter()
        self.instances: Mapping[str, list[Instance]] = {"train": [], "test": [], "recall": []}
        index_by_id = {policy.policy.id: index for index, policy in enumerate(policies)}
        for scene in scenes:
            for policy_id in scene.policy_ids:
                self.instances[scene.split].append(self._instance(scene, index_by_id[policy_id]))
        for policy in policies:
            self.instances["recall"].extend(_recall_instances(policy))

    def all_policies(self) -> Iterator[TreePolicy]:
        """Each policy, followed by its replacements."""
        for policy, replacements in zip(self.policies, self.replacements, strict=True):
            yield policy
            yield from replacements

    def crop_jobs(self) -> Iterator[CropJob]:
        for policy in self.all_policies():
            for path, attribute, value in policy.crops():
                yield CropJob(path, self.config.seed, attribute, value)

    def write(self, out: Path, spec: BenchmarkSpec, scenes: Iterable[Mapping[str, Any]]) -> Manifest:
        """Writes all records (scenes as CLEVR's JSON), then the manifest, which completes the benchmark."""
        store.write_lines(out / benchmark.POLICIES, (policy.policy for policy in self.all_policies()))
        store.write_lines(out / SCENES, scenes)
        for split, instances in self.instances.items():
            store.write_lines(out / benchmark.instances_file(split), instances)
        return benchmark.seal(out, spec)

    def _instance(self, scene: SceneSpec, index: int) -> Instance:
        policy, bits = self.policies[index], mask(scene.kinds)
        visits, leaf = policy.tree.walk(bits)
        replacement = self._choose_replacement(scene.split, index, bits, leaf.case)
        override_visits, override_leaf = replacement.tree.walk(bits)
        question = f"{QUESTION.format(name=policy.policy.name)} {FORMAT}"
        return Instance(
            id=f"{policy.policy.id}-{scene.scene_id}",
            split=scene.split,
            query=(self._shown(scene), Part("text", question)),
            facts={
                "scene": scene.scene_id,
                "objects": len(scene.kinds),
                "path": [visit.condition for visit in visits],
                "override_path": [visit.condition for visit in override_visits],
            },
            policy_id=policy.policy.id,
            target=f"Case {leaf.case}",
            override=Override(replacement.policy.id, f"Case {override_leaf.case}"),
        )

    def _shown(self, scene: SceneSpec) -> Part:
        if self.config.scenes == "pictures":
            return Part("image", scene.image)
        return Part("text", f"{reasoning.description(self.words[scene.scene_id])}\n")

    def _choose_replacement(self, split: str, index: int, bits: int, case: int) -> TreePolicy:
        replacements = self.replacements[index]
        while not (changing := [r for r in replacements if r.tree.walk(bits)[1].case != case]):
            number = len(replacements)
            replacements.append(sample_replacement(self.config, self.policies[index], index, number))
        by_use = {(split, r.policy.id, r.tree.walk(bits)[1].case): r for r in changing}
        least_used = min(by_use, key=lambda use: self.override_counts[use])
        self.override_counts[least_used] += 1
        return by_use[least_used]


def _recall_instances(policy: TreePolicy) -> Iterator[Instance]:
    for condition, question, answer in reasoning.recall(policy.tree, policy.policy.name):
        yield Instance(
            id=f"{policy.policy.id}-recall-{condition}",
            split="recall",
            query=(Part("text", question),),
            facts={"condition": condition},
            policy_id=policy.policy.id,
            target=answer,
        )
