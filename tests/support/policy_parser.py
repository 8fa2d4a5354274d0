"""Reads the text of a ClevrPolicy back into its tree, which shows that the text determines the tree."""

import re
from collections.abc import Mapping, Sequence

from clevrpolicy.policy.tree import Leaf, Node, Tree, child
from clevrpolicy.policy.wording import (
    ACCUMULATE,
    BY_PICTURE,
    HEAD,
    NARROWED,
    ROUTES,
    SCENE,
    TESTS,
    noun_phrase,
)
from clevrpolicy.scene.ontology import ATTRIBUTES
from harness.errors import UserError
from harness.records import Part


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
    sections = dict(parse_section(line, crop_values) for line in lines)
    tree = Tree(_assemble(sections, "1"), ACCUMULATE in head)
    reached = sum(1 for _ in tree.sections())
    if reached != len(lines):
        raise UserError(f"policy: expected {len(lines)} sections to be reached, got {reached}")
    return fields["name"], tree


# Attribute, value, crop, then the case of the true and of the false branch (None where it is not a leaf).
Section = tuple[str, str, str | None, int | None, int | None]


def parse_section(line: str, crop_values: Mapping[str, str]) -> tuple[str, Section]:
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
