"""Builds a benchmark's instances from policies and scenes, with override answers and recall questions."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from clevrpolicy.dataset.config import Config
from clevrpolicy.dataset.quotas import SceneSpec
from clevrpolicy.dataset.workers import CropJob
from clevrpolicy.policy import reasoning
from clevrpolicy.policy.policies import TreePolicy, sample_replacements
from clevrpolicy.policy.table import CaseTable
from clevrpolicy.policy.tree import mask
from clevrpolicy.scene.ontology import Kind
from harness.files import benchmark, store
from harness.files.benchmark import BenchmarkSpec, Manifest
from harness.parsing import FORMAT
from harness.records import Instance, Override, Part

SCENES = "scenes.jsonl"
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
            sample_replacements(config, policy, index) for index, policy in enumerate(policies)
        ]
        self._tables = {policy.policy.id: CaseTable(policy.tree) for policy in self.all_policies()}
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
        policy, bits = self.policies[index].policy, mask(scene.kinds)
        table = self._tables[policy.id]
        case = table.case(bits)
        replacement, other_case = self._choose_replacement(scene.split, index, bits, case)
        return Instance(
            id=f"{policy.id}-{scene.scene_id}",
            split=scene.split,
            query=(self._shown(scene), Part("text", f"{QUESTION.format(name=policy.name)} {FORMAT}")),
            facts={
                "scene": scene.scene_id,
                "objects": len(scene.kinds),
                "path": table.paths[case],
                "override_path": self._tables[replacement].paths[other_case],
            },
            policy_id=policy.id,
            target=f"Case {case}",
            override=Override(replacement, f"Case {other_case}"),
        )

    def _shown(self, scene: SceneSpec) -> Part:
        if self.config.scenes == "pictures":
            return Part("image", scene.image)
        return Part("text", f"{reasoning.description(self.words[scene.scene_id])}\n")

    def _choose_replacement(self, split: str, index: int, bits: int, case: int) -> tuple[str, int]:
        """The id of a replacement that gives the scene another case, and this case."""
        ids = [replacement.policy.id for replacement in self.replacements[index]]
        uses = [(split, policy_id, self._tables[policy_id].case(bits)) for policy_id in ids]
        least_used = min((use for use in uses if use[2] != case), key=self.override_counts.__getitem__)
        self.override_counts[least_used] += 1
        return least_used[1:]


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
