"""Writes the text of a policy from its tree.

The text determines the tree: tests/support/policy_parser.py parses it with the same templates. In -M, each
image is first written as "<image:path>"; then the text is split into text and image Parts.
"""

import random
import re

from clevrpolicy.policy.tree import Leaf, Node, PathConstraint, Tree
from harness.records import Part

TESTS = (
    "Is there {thing} {where}?",
    "Check whether there is {thing} {where}.",
    "Look for {thing} {where}.",
    "Find out if any object {where} is {thing}.",
)
ROUTES = (
    "If so, {yes}; otherwise, {no}.",
    "If yes, {yes}; if no, {no}.",
    "If there is one, {yes}. If there is none, {no}.",
)
GO = ("go to {}", "continue with {}", "turn to {}")
GIVE = ("respond with {}", "answer {}", "the response is {}")
BY_PICTURE = "an object of the same {attribute} as in <image:{crop}>"
SCENE = "in the scene"
NARROWED = "among those singled out so far"
HEAD = (
    "Policy {name}. It sets the response to a picture of a scene. Start at Condition 1 and go where each "
    "condition leads until one gives the response."
)
ACCUMULATE = (
    "A condition that holds singles out the objects that meet it, and the conditions after it ask about "
    "the objects singled out so far."
)
ALONE = "Each condition asks about the whole scene, whatever the conditions before it found."
REPLACES = "This policy replaces every earlier policy named {name}."


def noun_phrase(attribute: str, value: str) -> str:
    """An object described by one attribute: "a cube", "a red object"."""
    return f"a {value}" if attribute == "shape" else f"a {value} object"


def scope(narrowed: bool) -> str:
    return NARROWED if narrowed else SCENE


def destination(branch: Node | Leaf, number: str) -> str:
    """Where a branch leads: to the condition with this number, or to the response of a leaf."""
    return f"Case {branch.case}" if isinstance(branch, Leaf) else f"Condition {number}"


def content(tree: Tree, name: str, rng: random.Random, shuffle: bool, replaces: bool) -> tuple[Part, ...]:
    """The policy as a model sees it (paper, ClevrPolicy): instruction, name, numbered sections.

    rng chooses the wording of each section and, with shuffle, the order of the sections.
    """
    sections = [
        section(condition, node, narrows(tree, constraint), rng)
        for condition, node, constraint in tree.sections()
    ]
    if shuffle:
        rng.shuffle(sections)
    replacement = [REPLACES.format(name=name)] if replaces else []
    head = [HEAD.format(name=name), *replacement, ACCUMULATE if tree.accumulate else ALONE]
    return split_images("\n".join([" ".join(head), *sections]) + "\n")


def narrows(tree: Tree, constraint: PathConstraint) -> bool:
    """Whether a condition with this path asks about the objects singled out so far."""
    return tree.accumulate and bool(constraint.needed)


def section(condition: str, node: Node, narrowed: bool, rng: random.Random) -> str:
    """A numbered section in a random wording, with <image:path> in place of an image."""
    test = rng.choice(TESTS).format(thing=tested_thing(node), where=scope(narrowed))
    yes, no = (
        rng.choice(GIVE if isinstance(branch, Leaf) else GO).format(destination(branch, number))
        for branch, number in node.branches(condition)
    )
    return f"Condition {condition}: {test} {rng.choice(ROUTES).format(yes=yes, no=no)}"


def tested_thing(node: Node) -> str:
    """The object that a condition looks for, as a policy describes it: in words or by a picture."""
    if node.crop:
        return BY_PICTURE.format(attribute=node.attribute, crop=node.crop)
    return noun_phrase(node.attribute, node.value)


def split_images(text: str) -> tuple[Part, ...]:
    """The parts of a text with <image:path> in place of each image."""
    pieces = re.split(r"<image:([^>]+)>", text)
    return tuple(Part("image" if i % 2 else "text", piece) for i, piece in enumerate(pieces) if piece)
