"""From policies and the scenes that they ask about to instances: question, answer, override, recall items."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from clevrpolicy.dataset.config import Config
from clevrpolicy.dataset.quotas import Planned
from clevrpolicy.dataset.workers import CropJob
from clevrpolicy.policy import reasoning
from clevrpolicy.policy.policies import Draft, replacement
from clevrpolicy.policy.tree import mask
from harness.files import benchmark, store
from harness.files.benchmark import BenchmarkSpec, Manifest
from harness.parsing import FORMAT
from harness.records import Instance, Override, Part

SCENES = "scenes.jsonl"
REPLACEMENTS = 3
"""Of each policy, at least."""
QUESTION = "What is the response to this scene under policy {name}?"


@dataclass(frozen=True, slots=True)
class Asked:
    """A planned scene with its place in the benchmark."""

    scene_id: str
    split: str
    planned: Planned

    @property
    def image(self) -> str:
        return f"images/{self.scene_id}.png"


class Builder:
    """A benchmark's policies and instances; a policy gets as many replacements as its instances need.

    Of the replacements that change a scene's answer, the one whose new answer was least asked for is taken:
    so constant answers earn little under override too, though scenes are balanced for the policy itself.
    """

    def __init__(self, config: Config, policies: list[Draft], scenes: Iterable[Asked]) -> None:
        self.config = config
        self.policies = policies
        self.replacements = [
            [replacement(config, draft, index, turn) for turn in range(REPLACEMENTS)]
            for index, draft in enumerate(policies)
        ]
        self.asked_for: Counter[tuple[str, str, int]] = Counter()
        self.instances: Mapping[str, list[Instance]] = {"train": [], "test": [], "recall": []}
        order = {draft.policy.id: index for index, draft in enumerate(policies)}
        for asked in scenes:
            for policy_id in asked.planned.policies:
                self.instances[asked.split].append(self._instance(asked, order[policy_id]))
        self.instances["recall"].extend(i for draft in policies for i in _recall(draft))

    @property
    def drafts(self) -> list[Draft]:
        """Each policy, followed by its replacements."""
        return [d for pair in zip(self.policies, self.replacements, strict=True) for d in (pair[0], *pair[1])]

    def crops(self) -> Iterator[CropJob]:
        for draft in self.drafts:
            for path, attribute, value in draft.crops():
                yield CropJob(path, self.config.seed, attribute, value)

    def write(self, out: Path, begun: BenchmarkSpec, scenes: Iterable[Mapping[str, Any]]) -> Manifest:
        store.write_lines(out / benchmark.POLICIES, (draft.policy for draft in self.drafts))
        store.write_lines(out / SCENES, scenes)
        for split, instances in self.instances.items():
            store.write_lines(out / benchmark.instances_file(split), instances)
        return benchmark.seal(out, begun)

    def _instance(self, asked: Asked, index: int) -> Instance:
        draft, bits = self.policies[index], mask(asked.planned.kinds)
        steps, leaf = draft.tree.walk(bits)
        other = self._replacement(asked.split, index, bits, leaf.case)
        other_steps, other_leaf = other.tree.walk(bits)
        question = f"{QUESTION.format(name=draft.policy.name)} {FORMAT}"
        return Instance(
            id=f"{draft.policy.id}-{asked.scene_id}",
            split=asked.split,
            query=(Part("image", asked.image), Part("text", question)),
            facts={
                "scene": asked.scene_id,
                "objects": len(asked.planned.kinds),
                "path": [step.condition for step in steps],
                "override_path": [step.condition for step in other_steps],
            },
            policy_id=draft.policy.id,
            target=f"Case {leaf.case}",
            override=Override(other.policy.id, f"Case {other_leaf.case}"),
        )

    def _replacement(self, split: str, index: int, bits: int, case: int) -> Draft:
        known = self.replacements[index]
        while not (changing := [d for d in known if d.tree.walk(bits)[1].case != case]):
            known.append(replacement(self.config, self.policies[index], index, len(known)))
        uses = {(split, d.policy.id, d.tree.walk(bits)[1].case): d for d in changing}
        rarest = min(uses, key=lambda use: self.asked_for[use])
        self.asked_for[rarest] += 1
        return uses[rarest]


def _recall(draft: Draft) -> Iterator[Instance]:
    for condition, question, answer in reasoning.recall(draft.tree, draft.policy.name):
        yield Instance(
            id=f"{draft.policy.id}-recall-{condition}",
            split="recall",
            query=(Part("text", question),),
            facts={"condition": condition},
            policy_id=draft.policy.id,
            target=answer,
        )
