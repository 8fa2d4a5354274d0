"""Questions about a policy to train on, which are answered from its text alone.

They are worded and answered in other ways than `reasoning.recall`, whose questions are for evaluation only.
"""

import random
from collections.abc import Iterator

from clevrpolicy.policy.tree import Leaf, Node, Tree
from clevrpolicy.policy.wording import (
    TESTS,
    destination,
    narrows,
    scope,
    section,
    split_images,
    tested_thing,
)
from harness.records import Part

ABOUT_CONDITIONS = (
    "Quote Condition {condition} of policy {name}.",
    "How does policy {name} word its Condition {condition}?",
    "In policy {name}, what is written under Condition {condition}?",
)
ABOUT_CASES = (
    "Which conditions lead to Case {case} in policy {name}?",
    "When is Case {case} the response under policy {name}?",
    "List the way to Case {case} in policy {name}.",
)


def sample_question(tree: Tree, name: str, rng: random.Random) -> tuple[str, tuple[Part, ...]]:
    """A question and its answer: the words of a condition, or all conditions on the path to a case."""
    sections = {number: (node, narrows(tree, constraint)) for number, node, constraint in tree.sections()}
    if rng.random() < 0.5:
        condition = rng.choice(list(sections))
        question = rng.choice(ABOUT_CONDITIONS).format(condition=condition, name=name)
        return question, split_images(section(condition, *sections[condition], rng))
    paths = dict(_paths(tree.root, "1", ()))
    case = rng.choice(list(paths))
    lines = [_step(condition, *sections[condition], holds) for condition, holds in paths[case]]
    return rng.choice(ABOUT_CASES).format(case=case, name=name), split_images("\n".join(lines))


# The conditions on the way to a leaf, each with its answer.
Path = tuple[tuple[str, bool], ...]


def _paths(node: Node, number: str, above: Path) -> Iterator[tuple[int, Path]]:
    """The path to each case below a condition."""
    for holds, (branch, below) in zip((True, False), node.branches(number), strict=True):
        path = (*above, (number, holds))
        if isinstance(branch, Leaf):
            yield branch.case, path
        else:
            yield from _paths(branch, below, path)


def _step(condition: str, node: Node, narrowed: bool, holds: bool) -> str:
    """A condition with its answer, like a line of the gold reasoning without what a scene contains."""
    branch, number = node.branches(condition)[0 if holds else 1]
    test = TESTS[0].format(thing=tested_thing(node), where=scope(narrowed))
    verb = "The response is" if isinstance(branch, Leaf) else "Go to"
    return f"Condition {condition}: {test} {'Yes' if holds else 'No'}. {verb} {destination(branch, number)}."
