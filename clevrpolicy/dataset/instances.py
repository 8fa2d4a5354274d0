"""Builds the instances of a block from policies and scenes, with override answers and recall questions."""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path

from clevrpolicy.dataset.blocks import Block
from clevrpolicy.dataset.config import Config
from clevrpolicy.dataset.quotas import SceneSpec
from clevrpolicy.dataset.workers import CropJob
from clevrpolicy.policy import reasoning
from clevrpolicy.policy.policies import TreePolicy, sample_policy
from clevrpolicy.policy.table import CaseTable
from clevrpolicy.policy.tree import mask
from clevrpolicy.scene.ontology import Kind
from harness.files import benchmark, store
from harness.parsing import FORMAT
from harness.records import Instance, Override, Part

SCENES = "scenes.jsonl"
QUESTION = "What is the response to this scene under policy {name}?"


def stored_policies(config: Config, block: Block) -> Iterator[TreePolicy]:
    """The policies whose texts are stored in a block, each followed by its replacements."""
    for index in block.stored_policies:
        yield from sample_policy(config, index, block.folder)


def crop_jobs(config: Config, block: Block) -> Iterator[CropJob]:
    """The pictures in the policies that are stored in a block."""
    for policy in stored_policies(config, block):
        for path, attribute, value in policy.crops():
            yield CropJob(path, config.seed, attribute, value)


# By id of a scene that is described in words, its objects from left to right.
Words = Mapping[str, Sequence[Kind]]


def write_instances(
    out: Path, config: Config, block: Block, scenes: Iterable[SceneSpec], words: Words
) -> None:
    """Writes the policies that are stored in a block, and all its instances, into the block's folder.

    Scenes that are not in `words` are shown as pictures.
    """
    folder = out / block.folder
    policies = list(stored_policies(config, block))
    store.write_lines(folder / benchmark.POLICIES, (policy.policy for policy in policies))
    instances = _instances(config, block, scenes, words)
    instances["recall"] = [
        question
        for policy in policies
        if policy.policy.replaces is None
        for question in _recall_instances(policy, block)
    ]
    for split, records in instances.items():
        store.write_lines(folder / benchmark.instances_file(split), records)


def _instances(
    config: Config, block: Block, scenes: Iterable[SceneSpec], words: Words
) -> dict[str, list[Instance]]:
    """By split, an instance for each scene and policy that asks about it."""
    builders = {}
    for index in block.policies:
        builder = InstanceBuilder(sample_policy(config, index, block.folder), block)
        builders[builder.policy_id] = builder
    instances: dict[str, list[Instance]] = {split: [] for split in block.numbers}
    for scene in scenes:
        shown = _shown(scene, words)
        for policy_id in scene.policy_ids:
            instances[scene.split].append(builders[policy_id].instance(scene, shown))
    return instances


def _shown(scene: SceneSpec, words: Words) -> Part:
    """A scene as a part of a question."""
    if (objects := words.get(scene.scene_id)) is None:
        return Part("image", scene.image)
    return Part("text", f"{reasoning.description(objects)}\n")


class InstanceBuilder:
    """Builds the instances of one policy.

    Among the replacements that change its answer, each instance uses the one whose new answer has been used
    least so far. Otherwise a constant answer could score well under override, because scenes are balanced
    only for the policy itself.
    """

    def __init__(self, policies: tuple[TreePolicy, ...], block: Block) -> None:
        """policies: the policy, followed by its replacements."""
        policy, *replacements = policies
        self.policy_id, self.block = policy.policy.id, block
        self.question = f"{QUESTION.format(name=policy.policy.name)} {FORMAT}"
        self.table = CaseTable(policy.tree)
        self.replacements = {other.policy.id: CaseTable(other.tree) for other in replacements}
        # Number of instances by split, id of the replacement and new case.
        self.override_counts: Counter[tuple[str, str, int]] = Counter()

    def instance(self, scene: SceneSpec, shown: Part) -> Instance:
        bits = mask(scene.kinds)
        case = self.table.case(bits)
        uses = [(scene.split, other, table.case(bits)) for other, table in self.replacements.items()]
        use = min((use for use in uses if use[2] != case), key=self.override_counts.__getitem__)
        self.override_counts[use] += 1
        _, replacement, other_case = use
        return Instance(
            id=f"{self.policy_id}-{scene.scene_id}",
            split=scene.split,
            query=(shown, Part("text", self.question)),
            facts={
                **self.block.facts,
                "scene": scene.scene_id,
                "objects": len(scene.kinds),
                "path": self.table.paths[case],
                "override_path": self.replacements[replacement].paths[other_case],
            },
            policy_id=self.policy_id,
            target=f"Case {case}",
            override=Override(replacement, f"Case {other_case}"),
        )


def _recall_instances(policy: TreePolicy, block: Block) -> Iterator[Instance]:
    for condition, question, answer in reasoning.recall(policy.tree, policy.policy.name):
        yield Instance(
            id=f"{policy.policy.id}-recall-{condition}",
            split="recall",
            query=(Part("text", question),),
            facts={**block.facts, "condition": condition},
            policy_id=policy.policy.id,
            target=answer,
        )
