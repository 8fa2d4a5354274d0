"""Questions about a policy to train on, which are answered from its text alone.

They are worded and answered in other ways than `reasoning.recall`, whose questions are for evaluation only.
"""

import random
from collections.abc import Iterator

from clevrpolicy.policy.reasoning import enumeration, gold
from clevrpolicy.policy.tree import Leaf, Node, Tree, witness
from clevrpolicy.policy.wording import (
    TESTS,
    destination,
    narrows,
    scope,
    section,
    split_images,
    tested_thing,
)
from clevrpolicy.scene.placement import split_of
from harness.parsing import FORMAT
from harness.records import Part

QUOTE = (
    "Quote Condition {condition} of policy {name}.",
    "How does policy {name} word its Condition {condition}?",
    "In policy {name}, what is written under Condition {condition}?",
)
# The question must not contain the case, or the answer would only copy it.
FOLLOW = (
    "Follow policy {name} with the answers {answers}.",
    "Where does policy {name} lead if the answers are {answers}?",
    "Which conditions of policy {name} get the answers {answers}, and what is the response?",
)
APPLY = (
    "The scene holds {objects}. What does policy {name} respond to it?",
    "Apply policy {name} to a scene that holds {objects}.",
    "Suppose that a scene holds {objects}. Which case of policy {name} is it?",
)
# Objects of a described scene, unless a leaf needs more.
OBJECTS = (2, 3, 4)


def sample_question(tree: Tree, name: str, rng: random.Random) -> tuple[str, tuple[Part, ...]]:
    """A random question and its answer: the words of a condition, the case of a path, or that of a scene.

    A scene is described in words and is one of the training split. Policies with images are not asked about
    scenes, because the reasoning would name the values that the images show.
    """
    pictured = any(node.crop for _, node, _ in tree.sections())
    ask = rng.choice((quote, follow) if pictured else (quote, follow, apply, apply))
    question, answer = ask(tree, rng)
    return question.replace("{name}", name), split_images(answer)


def quote(tree: Tree, rng: random.Random) -> tuple[str, str]:
    """What a condition says."""
    condition, node, constraint = rng.choice(list(tree.sections()))
    question = rng.choice(QUOTE).replace("{condition}", condition)
    return question, section(condition, node, narrows(tree, constraint), rng)


def follow(tree: Tree, rng: random.Random) -> tuple[str, str]:
    """The conditions on a path, and where it ends."""
    sections = {number: (node, narrows(tree, constraint)) for number, node, constraint in tree.sections()}
    path = rng.choice(list(_paths(tree.root, "1")))
    answers = ", ".join("yes" if holds else "no" for _, holds in path)
    lines = [_step(condition, *sections[condition], holds) for condition, holds in path]
    return rng.choice(FOLLOW).replace("{answers}", answers), "\n".join(lines)


def apply(tree: Tree, rng: random.Random) -> tuple[str, str]:
    """The reasoning about a scene in words, which reaches each leaf equally often."""
    _, constraint = rng.choice(list(tree.leaves()))
    while True:
        kinds = witness(rng, constraint, max(rng.choice(OBJECTS), len(constraint.needed)))
        if split_of(kinds) == "train":
            question = rng.choice(APPLY).replace("{objects}", enumeration(kinds))
            return f"{question} {FORMAT}", gold(tree, kinds)


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
