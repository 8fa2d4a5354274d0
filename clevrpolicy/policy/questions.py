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
# The question must not contain the case, or the answer would only copy it.
ABOUT_ANSWERS = (
    "Follow policy {name} with the answers {answers}.",
    "Where does policy {name} lead if the answers are {answers}?",
    "Which conditions of policy {name} get the answers {answers}, and what is the response?",
)


def sample_question(tree: Tree, name: str, rng: random.Random) -> tuple[str, tuple[Part, ...]]:
    """A question and its answer: the words of a condition, or all conditions on a path and its case."""
    sections = {number: (node, narrows(tree, constraint)) for number, node, constraint in tree.sections()}
    if rng.random() < 0.5:
        condition = rng.choice(list(sections))
        question = rng.choice(ABOUT_CONDITIONS).format(condition=condition, name=name)
        return question, split_images(section(condition, *sections[condition], rng))
    path = rng.choice(list(_paths(tree.root, "1")))
    answers = ", ".join("yes" if holds else "no" for _, holds in path)
    lines = [_step(condition, *sections[condition], holds) for condition, holds in path]
    question = rng.choice(ABOUT_ANSWERS).format(answers=answers, name=name)
    return question, split_images("\n".join(lines))


def _paths(node: Node, number: str) -> Iterator[tuple[tuple[str, bool], ...]]:
    """For each leaf below a condition: the conditions that lead to it, each with whether it holds."""
    for holds, (branch, below) in zip((True, False), node.branches(number), strict=True):
        rests = [()] if isinstance(branch, Leaf) else _paths(branch, below)
        yield from (((number, holds), *rest) for rest in rests)


def _step(condition: str, node: Node, narrowed: bool, holds: bool) -> str:
    """A condition with its answer, like a line of the gold reasoning without what a scene contains."""
    branch, number = node.branches(condition)[0 if holds else 1]
    test = TESTS[0].format(thing=tested_thing(node), where=scope(narrowed))
    verb = "The response is" if isinstance(branch, Leaf) else "Go to"
    return f"Condition {condition}: {test} {'Yes' if holds else 'No'}. {verb} {destination(branch, number)}."
