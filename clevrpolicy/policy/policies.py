"""Samples the policies of a benchmark: names, trees, wordings and, in -M, the values shown as pictures."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import lru_cache

from clevrpolicy.dataset.config import Config
from clevrpolicy.policy import tree as trees
from clevrpolicy.policy import wording
from clevrpolicy.policy.tree import Leaf, Node, Tree
from harness.generation.names import pronounceable
from harness.records import Policy
from harness.seeds import rng

FAMILY = "clevrpolicy"
# For each policy, so that the answers under override vary.
REPLACEMENTS = 3


@dataclass(frozen=True, slots=True)
class TreePolicy:
    """A policy and the decision tree that its text describes."""

    policy: Policy
    tree: Tree

    def crops(self) -> Iterator[tuple[str, str, str]]:
        """Path, attribute and value of each picture in the policy."""
        for _, node, _ in self.tree.sections():
            if node.crop:
                yield node.crop, node.attribute, node.value


def sample_policies(config: Config) -> list[TreePolicy]:
    """All policies of a benchmark, without replacements."""
    return [sample_policy(config, index)[0] for index in range(config.policies)]


# A block reads the same policies several times.
@lru_cache(maxsize=256)
def sample_policy(config: Config, index: int, folder: str = "") -> tuple[TreePolicy, ...]:
    """The index-th policy of a benchmark, followed by its replacements, which are policies of the same name.

    The last two replacements have the same conditions, but different cases at each leaf. So for every scene,
    at least one replacement gives another case than the policy. `folder` contains the pictures in the texts;
    it is relative to the benchmark and ends in "/", or is empty.
    """
    name = _names(config)[index]
    policy, *others = (_tree(config, index, number) for number in range(-1, REPLACEMENTS - 1))
    return (
        _sample(config, folder, name, name, None, policy, index, -1),
        *(
            _sample(config, folder, f"{name}.r{number}", name, name, tree, index, number)
            for number, tree in enumerate([*others, trees.rotated(others[-1])])
        ),
    )


def _tree(config: Config, index: int, number: int) -> Tree:
    """The tree of the index-th policy (number -1), or of one of its replacements."""
    draw = rng(config.seed, "tree", FAMILY, config.depth, index, number)
    return trees.sample(draw, config.depth, config.accumulate)


def _sample(
    config: Config,
    folder: str,
    policy_id: str,
    name: str,
    replaces: str | None,
    tree: Tree,
    index: int,
    number: int,
) -> TreePolicy:
    """The policy with this tree. Its wording and pictures depend on its index and number."""
    seed_path = (FAMILY, config.depth, index, number)
    if config.visual:
        tree = _with_crops(tree, f"{folder}images/{policy_id}", config, *seed_path)
    draw = rng(config.seed, "wording", *seed_path)
    content = wording.content(tree, name, draw, config.shuffle, replaces is not None)
    rules = {"depth": config.depth, **trees.to_json(tree)}
    return TreePolicy(Policy(policy_id, FAMILY, name, content, rules, replaces), tree)


def _with_crops(tree: Tree, folder: str, config: Config, *seed_path: str | int) -> Tree:
    """The tree, with pictures instead of values in a random share of its conditions."""
    conditions = [condition for condition, _, _ in tree.sections()]
    count = math.ceil(config.crop_share * len(conditions))
    pictured = set(rng(config.seed, "crops", *seed_path).sample(conditions, count))

    def add_crops(node: Node, condition: str) -> Node:
        yes, no = (
            branch if isinstance(branch, Leaf) else add_crops(branch, number)
            for branch, number in node.branches(condition)
        )
        crop = f"{folder}/{condition}.png" if condition in pictured else None
        return replace(node, yes=yes, no=no, crop=crop)

    return replace(tree, root=add_crops(tree.root, "1"))


@lru_cache(maxsize=1)
def _names(config: Config) -> list[str]:
    """Different pronounceable names that start with the depth, as in the paper: "L3-Surinu"."""
    names: dict[str, None] = {}
    for index in range(config.policies):
        draw = rng(config.seed, "name", FAMILY, config.depth, index)
        while len(names) == index:
            names.setdefault(f"L{config.depth}-{pronounceable(draw)}")
    return list(names)
