"""Decision trees over scenes: which leaf a scene reaches, and what a scene must contain to reach a leaf.

Each node asks one question about the objects of a scene. Conditions are numbered by their path:

    1: Is there a red object?
    ├─ yes  1.1: Is there a metal object among the red ones?
    │       ├─ yes  Case 0
    │       └─ no   Case 2
    └─ no   1.2: Is there a cube?
            ├─ yes  Case 3
            └─ no   Case 1

The answers depend only on which of the 96 kinds of object a scene contains. A set of kinds is an int whose
bit i represents KINDS[i], and a condition holds if `kinds_of_the_scene & kinds_that_meet_it` is not 0.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from typing import Any

from clevrpolicy.scene.ontology import ATTRIBUTES, KINDS, Kind
from harness.errors import UserError

DEPTHS = range(1, 9)
EVERYTHING = (1 << len(KINDS)) - 1
# A leaf allows at least this many kinds of object, so that it has many scenes, which look different.
MIN_KINDS = 4

_BIT = {kind: 1 << i for i, kind in enumerate(KINDS)}
_WITH_VALUE = {
    (attribute, value): sum(_BIT[k] for k in KINDS if getattr(k, attribute) == value)
    for attribute, values in ATTRIBUTES.items()
    for value in values
}


def mask(kinds: Iterable[Kind]) -> int:
    """The set of these kinds as an int."""
    bits = 0
    for kind in kinds:
        bits |= _BIT[kind]
    return bits


# Trees use a few hundred sets.
@cache
def members(bits: int) -> tuple[Kind, ...]:
    return tuple(kind for kind in KINDS if bits & _BIT[kind])


def child(condition: str, holds: bool) -> str:
    """The number of a branch: condition "1.2" leads to "1.2.1" if it holds, otherwise to "1.2.2"."""
    return f"{condition}.{1 if holds else 2}"


@dataclass(frozen=True, slots=True)
class Leaf:
    """A response, "Case k"."""

    case: int


@dataclass(frozen=True, slots=True)
class Node:
    """A condition: is there an object (among those singled out so far) whose attribute has this value?"""

    attribute: str
    value: str
    yes: Node | Leaf
    no: Node | Leaf
    # Path of the picture that the text contains instead of the value's name (ClevrPolicy-M).
    crop: str | None = None

    def branches(self, condition: str) -> tuple[tuple[Node | Leaf, str], tuple[Node | Leaf, str]]:
        """The true and the false branch of a node with this number, each with its own number."""
        return (self.yes, child(condition, True)), (self.no, child(condition, False))


def met_by(node: Node, focus: int) -> int:
    """The kinds that meet a condition, among those singled out so far."""
    return focus & _WITH_VALUE[node.attribute, node.value]


@dataclass(frozen=True, slots=True)
class PathConstraint:
    """What the answers along a path imply for a scene."""

    # Kinds of object that may still occur.
    allowed: int = EVERYTHING
    # Sets of kinds. At least one kind of each set must occur.
    needed: tuple[int, ...] = ()
    # The kinds singled out so far. The next condition asks only about these.
    focus: int = EVERYTHING

    def after(self, node: Node, holds: bool, accumulate: bool) -> PathConstraint:
        met = met_by(node, self.focus)
        if not holds:
            return replace(self, allowed=self.allowed & ~met)
        if accumulate:
            # An object that meets this condition has met all true ones before it, so no other need remains.
            return PathConstraint(self.allowed, (met,), met)
        return PathConstraint(self.allowed, (*self.needed, met))

    @property
    def possible(self) -> bool:
        """Whether enough different scenes meet the constraint."""
        return self.allowed.bit_count() >= MIN_KINDS and all(need & self.allowed for need in self.needed)


@dataclass(frozen=True, slots=True)
class Visit:
    """A condition on the path of a scene, with its answer."""

    condition: str
    node: Node
    # Whether an earlier condition has singled out objects.
    narrowed: bool
    # The kinds that meet the condition, whether or not they are in the scene.
    met: int
    holds: bool


@dataclass(frozen=True, slots=True)
class Tree:
    """The decision tree of a policy.

    With accumulate, a condition that holds singles out the objects that meet it, and the conditions after it
    ask only about these objects (as in the paper's error analysis).
    """

    root: Node
    accumulate: bool = True

    def sections(self) -> Iterator[tuple[str, Node, PathConstraint]]:
        """Each condition, depth first: its number, its node, and what its path implies for a scene."""
        for condition, branch, constraint in self._branches():
            if isinstance(branch, Node):
                yield condition, branch, constraint

    def leaves(self) -> Iterator[tuple[Leaf, PathConstraint]]:
        for _, branch, constraint in self._branches():
            if isinstance(branch, Leaf):
                yield branch, constraint

    def walk(self, kinds: int) -> tuple[list[Visit], Leaf]:
        """The path of a scene that contains exactly these kinds, and the leaf that it reaches."""
        visits: list[Visit] = []
        branch: Node | Leaf = self.root
        condition, focus = "1", EVERYTHING
        while isinstance(branch, Node):
            met = met_by(branch, focus)
            holds = bool(met & kinds)
            visits.append(Visit(condition, branch, focus != EVERYTHING, met, holds))
            condition = child(condition, holds)
            branch = branch.yes if holds else branch.no
            if holds and self.accumulate:
                focus = met
        return visits, branch

    def _branches(self) -> Iterator[tuple[str, Node | Leaf, PathConstraint]]:
        stack: list[tuple[str, Node | Leaf, PathConstraint]] = [("1", self.root, PathConstraint())]
        while stack:
            condition, branch, constraint = stack.pop()
            yield condition, branch, constraint
            if isinstance(branch, Node):
                yes, no = branch.branches(condition)
                stack.append((no[1], no[0], constraint.after(branch, False, self.accumulate)))
                stack.append((yes[1], yes[0], constraint.after(branch, True, self.accumulate)))


def sample(rng: random.Random, depth: int, accumulate: bool = True) -> Tree:
    """A random tree with depth layers of conditions (paper, ClevrPolicy).

    No condition has an answer that its path already determines. Below the true branch of a condition, its
    attribute is not tested again. A path ends early if no condition meets these rules. All trees of depths 2,
    4, 6 and 8 have 4, 16, 40 and 64 leaves (the paper has 55 at 6). Raises ValueError for a depth below 1.
    """
    root = _grow(rng, depth, accumulate, PathConstraint(), frozenset())
    if isinstance(root, Leaf):
        raise ValueError(f"depth: expected 1 or more, got {depth}")
    cases = list(range(sum(1 for _ in Tree(root).leaves())))
    rng.shuffle(cases)
    return Tree(_numbered(root, iter(cases)), accumulate)


def _grow(
    rng: random.Random, depth: int, accumulate: bool, constraint: PathConstraint, settled: frozenset[str]
) -> Node | Leaf:
    """A random tree below a path. settled: the attributes tested by the true conditions on the path."""
    open_tests = _open_tests(constraint, settled, accumulate) if depth else {}
    if not open_tests:
        return Leaf(-1)
    attribute = rng.choice(sorted(open_tests))
    test = Node(attribute, rng.choice(open_tests[attribute]), Leaf(-1), Leaf(-1))
    if_true, if_false = (constraint.after(test, holds, accumulate) for holds in (True, False))
    yes = _grow(rng, depth - 1, accumulate, if_true, settled | {attribute})
    no = _grow(rng, depth - 1, accumulate, if_false, settled)
    return replace(test, yes=yes, no=no)


def _open_tests(
    constraint: PathConstraint, settled: frozenset[str], accumulate: bool
) -> dict[str, list[str]]:
    """By attribute: the values for which both answers are still possible at the end of this path."""
    values_by_attribute: dict[str, list[str]] = {}
    for attribute in ATTRIBUTES.keys() - settled:
        for value in ATTRIBUTES[attribute]:
            test = Node(attribute, value, Leaf(-1), Leaf(-1))
            if all(constraint.after(test, holds, accumulate).possible for holds in (True, False)):
                values_by_attribute.setdefault(attribute, []).append(value)
    return values_by_attribute


def _numbered(node: Node, cases: Iterator[int]) -> Node:
    """The same tree with these cases at its leaves, in depth-first order."""
    yes, no = (
        Leaf(next(cases)) if isinstance(branch, Leaf) else _numbered(branch, cases)
        for branch in (node.yes, node.no)
    )
    return replace(node, yes=yes, no=no)


def rotated(tree: Tree) -> Tree:
    """The same conditions with another case at each leaf."""
    cases = [leaf.case for leaf, _ in tree.leaves()]
    return replace(tree, root=_numbered(tree.root, iter([(case + 1) % len(cases) for case in cases])))


def witness(rng: random.Random, constraint: PathConstraint, objects: int) -> tuple[Kind, ...]:
    """Random kinds of objects that meet a constraint together. Requires objects >= len(constraint.needed)."""
    found: list[Kind] = []
    # Start with the smallest set, because an object from it may be in larger sets as well.
    for need in sorted(constraint.needed, key=int.bit_count):
        if not need & mask(found):
            found.append(rng.choice(members(need & constraint.allowed)))
    kinds = rng.choices(members(constraint.allowed), k=objects - len(found))
    for kind in found:
        kinds.insert(int(rng.random() * (len(kinds) + 1)), kind)
    return tuple(kinds)


def to_json(tree: Tree) -> dict[str, Any]:
    def encode(branch: Node | Leaf) -> dict[str, Any]:
        if isinstance(branch, Leaf):
            return {"case": branch.case}
        crop = {"crop": branch.crop} if branch.crop else {}
        test = {"attribute": branch.attribute, "value": branch.value, **crop}
        return {**test, "yes": encode(branch.yes), "no": encode(branch.no)}

    return {"accumulate": tree.accumulate, "tree": encode(tree.root)}


def from_json(rules: Any) -> Tree:
    def decode(data: Any) -> Node | Leaf:
        if "case" in data:
            return Leaf(data["case"])
        test = data["attribute"], data["value"]
        return Node(*test, decode(data["yes"]), decode(data["no"]), data.get("crop"))

    root = decode(rules["tree"])
    if not isinstance(root, Node):
        raise UserError("rules: expected a tree with a condition at its root, got a leaf")
    return Tree(root, rules["accumulate"])
