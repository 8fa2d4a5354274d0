"""A tree as a policy's text, and the text as a tree again: the templates below serve both ways.

In -M a picture stands in the text as a mark, which becomes a Part of its own.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence

from clevrpolicy.policy.tree import Leaf, Node, Tree
from clevrpolicy.scene.ontology import ATTRIBUTES
from harness.errors import UserError
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


def named(attribute: str, value: str) -> str:
    """An object by one attribute: "a cube", "a red object"."""
    return f"a {value}" if attribute == "shape" else f"a {value} object"


def where(narrowed: bool) -> str:
    return NARROWED if narrowed else SCENE


def leads(branch: Node | Leaf, condition: str) -> str:
    """Where a branch leads: the condition of this number, or the leaf's response."""
    return f"Case {branch.case}" if isinstance(branch, Leaf) else f"Condition {condition}"


def content(tree: Tree, name: str, rng: random.Random, shuffle: bool, replaces: bool) -> tuple[Part, ...]:
    """The policy as a model is shown it (paper, ClevrPolicy): instruction, name, numbered sections.

    The generator chooses among the wordings of each test and, with shuffle, the order of the sections.
    """
    sections = []
    for condition, node, reach in tree.sections():
        narrowed = tree.accumulate and bool(reach.needed)
        thing = (
            BY_PICTURE.format(attribute=node.attribute, crop=node.crop)
            if node.crop
            else named(node.attribute, node.value)
        )
        test = rng.choice(TESTS).format(thing=thing, where=where(narrowed))
        yes, no = (
            rng.choice(GIVE if isinstance(branch, Leaf) else GO).format(leads(branch, condition + end))
            for branch, end in ((node.yes, ".1"), (node.no, ".2"))
        )
        sections.append(f"Condition {condition}: {test} {rng.choice(ROUTES).format(yes=yes, no=no)}")
    if shuffle:
        rng.shuffle(sections)
    head = [HEAD.format(name=name)]
    head += [REPLACES.format(name=name)] if replaces else []
    head += [ACCUMULATE if tree.accumulate else ALONE]
    return _parts("\n".join([" ".join(head), *sections]) + "\n")


def parse(parts: Sequence[Part], shown: Mapping[str, str]) -> tuple[str, Tree]:
    """The name and the tree of a policy's content.

    shown gives, by path, the value that each picture shows. Raises UserError naming the line that is
    not one of a policy's.
    """
    head, *lines = _text(parts).splitlines()
    name = _fields(HEAD + " {rest}", head)
    if name is None:
        raise UserError(f"policy: expected {HEAD[:20]!r}…, got {head[:60]!r}")
    tree = Tree(_assemble(dict(_section(line, shown) for line in lines), "1"), ACCUMULATE in head)
    reached = sum(1 for _ in tree.sections())
    if reached != len(lines):
        raise UserError(f"policy: expected that all its {len(lines)} sections are reached, got {reached}")
    return name["name"], tree


Test = tuple[str, str, str | None, int | None, int | None]
"""Attribute, value, crop, and the case of the true and the false branch where it is a leaf."""


def _section(line: str, shown: Mapping[str, str]) -> tuple[str, Test]:
    for test in TESTS:
        for route in ROUTES:
            found = _fields("Condition {condition}: " + f"{test} {route}", line)
            if found is not None:
                condition = found["condition"]
                yes, no = _case(found["yes"], f"{condition}.1"), _case(found["no"], f"{condition}.2")
                return condition, (*_thing(found["thing"], shown), yes, no)
    raise UserError(f"policy: expected a section such as 'Condition 1.2: ...', got {line[:80]!r}")


def _case(route: str, child: str) -> int | None:
    """The case that a route gives; None where it leads to the child, the only condition it may lead to."""
    found = re.search(r"Case (\d+)$", route)
    if found is None and not route.endswith(f" Condition {child}"):
        raise UserError(f"policy: expected a case or Condition {child}, got {route!r}")
    return int(found[1]) if found else None


def _thing(thing: str, shown: Mapping[str, str]) -> tuple[str, str, str | None]:
    by_picture = _fields(BY_PICTURE, thing)
    if by_picture is not None:
        crop = by_picture["crop"]
        if crop not in shown:
            raise UserError(f"policy: no value is known for its picture {crop!r}")
        return by_picture["attribute"], shown[crop], crop
    for attribute, values in ATTRIBUTES.items():
        for value in values:
            if named(attribute, value) == thing:
                return attribute, value, None
    raise UserError(f"policy: expected an object named by one attribute, got {thing!r}")


def _assemble(tests: Mapping[str, Test], condition: str) -> Node:
    if condition not in tests:
        raise UserError(f"policy: it leads to Condition {condition}, which it does not have")
    attribute, value, crop, *cases = tests[condition]
    yes, no = (
        _assemble(tests, condition + end) if case is None else Leaf(case)
        for case, end in zip(cases, (".1", ".2"), strict=True)
    )
    return Node(attribute, value, yes, no, crop)


def _fields(template: str, text: str) -> dict[str, str] | None:
    """The values that, put into the template, give the text."""
    pattern = re.escape(template)
    for name in re.findall(r"\{(\w+)\}", template):
        field = f"{SCENE}|{NARROWED}" if name == "where" else ".+"
        pattern = pattern.replace(rf"\{{{name}\}}", f"(?P<{name}>{field})")
    found = re.fullmatch(pattern, text)
    return found.groupdict() if found else None


def _parts(text: str) -> tuple[Part, ...]:
    pieces = re.split(r"<image:([^>]+)>", text)
    return tuple(Part("image" if i % 2 else "text", piece) for i, piece in enumerate(pieces) if piece)


def _text(parts: Sequence[Part]) -> str:
    return "".join(p.value if p.kind == "text" else f"<image:{p.value}>" for p in parts)
