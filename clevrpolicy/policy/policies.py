"""The policies of a benchmark: name, tree, wording and, in -M, which values are shown as pictures."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace

from clevrpolicy.dataset.config import Config
from clevrpolicy.policy import tree as trees
from clevrpolicy.policy import wording
from clevrpolicy.policy.tree import Leaf, Node, Tree
from harness.records import Policy
from harness.seeds import rng

FAMILY = "clevrpolicy"
ONSETS = (*"bdfghklmnprstvz", "br", "dr", "kl", "st", "tr")
VOWELS = "aeiou"


@dataclass(frozen=True, slots=True)
class Draft:
    """A policy and the tree that its text tells."""

    policy: Policy
    tree: Tree

    def crops(self) -> Iterator[tuple[str, str, str]]:
        """Path, attribute and value of each picture in the policy."""
        for _, node, _ in self.tree.sections():
            if node.crop:
                yield node.crop, node.attribute, node.value


def policies(config: Config) -> list[Draft]:
    names: list[str] = []
    while len(names) < config.policies:
        name = _name(config, len(names), taken=names)
        names.append(name)
    return [_draft(config, name, name, None, index, -1) for index, name in enumerate(names)]


def replacement(config: Config, replaced: Draft, index: int, turn: int) -> Draft:
    """A newly sampled policy under the same name; there are as many as the caller turns."""
    name = replaced.policy.name
    return _draft(config, f"{name}.r{turn}", name, replaced.policy.id, index, turn)


def _draft(config: Config, policy_id: str, name: str, replaces: str | None, index: int, turn: int) -> Draft:
    path = (FAMILY, config.depth, index, turn)
    tree = trees.sample(rng(config.seed, "tree", *path), config.depth, config.accumulate)
    if config.visual:
        tree = _shown(tree, policy_id, config, *path)
    content = wording.content(
        tree, name, rng(config.seed, "wording", *path), config.shuffle, replaces is not None
    )
    rules = {"depth": config.depth, **trees.to_json(tree)}
    return Draft(Policy(policy_id, FAMILY, name, content, rules, replaces), tree)


def _shown(tree: Tree, policy_id: str, config: Config, *path: str | int) -> Tree:
    """The tree with a share of its values shown as pictures."""
    conditions = [condition for condition, _, _ in tree.sections()]
    count = math.ceil(config.crop_share * len(conditions))
    chosen = set(rng(config.seed, "crops", *path).sample(conditions, count))

    def show(node: Node, condition: str) -> Node:
        crop = f"images/{policy_id}/{condition}.png" if condition in chosen else None
        yes, no = (
            branch if isinstance(branch, Leaf) else show(branch, condition + end)
            for branch, end in ((node.yes, ".1"), (node.no, ".2"))
        )
        return replace(node, yes=yes, no=no, crop=crop)

    return replace(tree, root=show(tree.root, "1"))


def _name(config: Config, index: int, taken: list[str]) -> str:
    """Pronounceable, such as "L3-Surinu", with the depth in front as in the paper."""
    draw = rng(config.seed, "name", FAMILY, config.depth, index)
    while True:
        syllables = (draw.choice(ONSETS) + draw.choice(VOWELS) for _ in range(3))
        name = f"L{config.depth}-{''.join(syllables).capitalize()}"
        if name not in taken:
            return name
