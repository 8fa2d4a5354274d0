"""The text of a policy: `content` writes a tree as text and `parse` reads it back, from the same templates.

In -M the text contains a mark for each picture, "<image:path>", which becomes a Part of its own.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping, Sequence

from clevrpolicy.policy.tree import Leaf, Node, Tree, child
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


def noun_phrase(attribute: str, value: str) -> str:
    """An object described by one attribute: "a cube", "a red object"."""
    return f"a {value}" if attribute == "shape" else f"a {value} object"


def scope(narrowed: bool) -> str:
    return NARROWED if narrowed else SCENE


def destination(branch: Node | Leaf, number: str) -> str:
    """Where a branch leads: the condition with this number, or the leaf's response."""
    return f"Case {branch.case}" if isinstance(branch, Leaf) else f"Condition {number}"


def content(tree: Tree, name: str, rng: random.Random, shuffle: bool, replaces: bool) -> tuple[Part, ...]:
    """The policy as a model sees it (paper, ClevrPolicy): instruction, name, numbered sections.

    rng chooses the wording of each section and, with shuffle, the order of the sections.
    """
    sections = []
    for condition, node, constraint in tree.sections():
        narrowed = tree.accumulate and bool(constraint.needed)
        thing = (
            BY_PICTURE.format(attribute=node.attribute, crop=node.crop)
            if node.crop
            else noun_phrase(node.attribute, node.value)
        )
        test = rng.choice(TESTS).format(thing=thing, where=scope(narrowed))
        yes, no = (
            rng.choice(GIVE if isinstance(branch, Leaf) else GO).format(destination(branch, number))
            for branch, number in node.branches(condition)
        )
        sections.append(f"Condition {condition}: {test} {rng.choice(ROUTES).format(yes=yes, no=no)}")
    if shuffle:
        rng.shuffle(sections)
    head = [HEAD.format(name=name)]
    head += [REPLACES.format(name=name)] if replaces else []
    head += [ACCUMULATE if tree.accumulate else ALONE]
    return _split_images("\n".join([" ".join(head), *sections]) + "\n")


def parse(parts: Sequence[Part], crop_values: Mapping[str, str]) -> tuple[str, Tree]:
    """The name and the tree of a policy's content.

    crop_values maps the path of each picture to the value that it shows. Raises UserError quoting the line
    that does not belong to a policy.
    """
    text = "".join(p.value if p.kind == "text" else f"<image:{p.value}>" for p in parts)
    head, *lines = text.splitlines()
    fields = _match(HEAD + " {rest}", head)
    if fields is None:
        raise UserError(f"policy: expected {HEAD[:20]!r}…, got {head[:60]!r}")
    sections = dict(_parse_section(line, crop_values) for line in lines)
    tree = Tree(_assemble(sections, "1"), ACCUMULATE in head)
    reached = sum(1 for _ in tree.sections())
    if reached != len(lines):
        raise UserError(f"policy: expected {len(lines)} sections to be reached, got {reached}")
    return fields["name"], tree


# Attribute, value, crop, then the case of the true and of the false branch (None where it is not a leaf).
Section = tuple[str, str, str | None, int | None, int | None]


def _parse_section(line: str, crop_values: Mapping[str, str]) -> tuple[str, Section]:
    """A section's number and content."""
    for test in TESTS:
        for route in ROUTES:
            fields = _match("Condition {condition}: " + f"{test} {route}", line)
            if fields is not None:
                condition = fields["condition"]
                yes = _parse_route(fields["yes"], child(condition, True))
                no = _parse_route(fields["no"], child(condition, False))
                return condition, (*_parse_thing(fields["thing"], crop_values), yes, no)
    raise UserError(f"policy: expected a section such as 'Condition 1.2: ...', got {line[:80]!r}")


def _parse_route(route: str, number: str) -> int | None:
    """The case that a route gives, or None where it leads to the condition with this number."""
    case = re.search(r"Case (\d+)$", route)
    if case is None and not route.endswith(f" Condition {number}"):
        raise UserError(f"policy: expected a case or Condition {number}, got {route!r}")
    return int(case[1]) if case else None


def _parse_thing(thing: str, crop_values: Mapping[str, str]) -> tuple[str, str, str | None]:
    """Attribute, value and crop of the object that a section looks for."""
    by_picture = _match(BY_PICTURE, thing)
    if by_picture is not None:
        crop = by_picture["crop"]
        if crop not in crop_values:
            raise UserError(f"policy: the value that its picture {crop!r} shows is not known")
        return by_picture["attribute"], crop_values[crop], crop
    for attribute, values in ATTRIBUTES.items():
        for value in values:
            if noun_phrase(attribute, value) == thing:
                return attribute, value, None
    raise UserError(f"policy: expected an object described by one attribute, got {thing!r}")


def _assemble(sections: Mapping[str, Section], condition: str) -> Node:
    """The node with this number and all below it."""
    if condition not in sections:
        raise UserError(f"policy: it leads to Condition {condition}, which does not exist")
    attribute, value, crop, yes_case, no_case = sections[condition]
    yes, no = (
        _assemble(sections, child(condition, holds)) if case is None else Leaf(case)
        for holds, case in ((True, yes_case), (False, no_case))
    )
    return Node(attribute, value, yes, no, crop)


def _match(template: str, text: str) -> dict[str, str] | None:
    """The field values for which the template gives the text, or None."""
    pattern = re.escape(template)
    for name in re.findall(r"\{(\w+)\}", template):
        field = f"{SCENE}|{NARROWED}" if name == "where" else ".+"
        pattern = pattern.replace(rf"\{{{name}\}}", f"(?P<{name}>{field})")
    match = re.fullmatch(pattern, text)
    return match.groupdict() if match else None


def _split_images(text: str) -> tuple[Part, ...]:
    pieces = re.split(r"<image:([^>]+)>", text)
    return tuple(Part("image" if i % 2 else "text", piece) for i, piece in enumerate(pieces) if piece)
