"""Decision trees over scenes: what a scene must hold to reach a leaf, and which leaf a scene reaches.

A set of object kinds is an int whose bit i stands for KINDS[i]: 96 kinds fit, and "may a scene still answer
either way here?" becomes a question about two masks.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

from clevrpolicy.scene.ontology import ATTRIBUTES, KINDS, Kind
from harness.errors import UserError

DEPTHS = range(1, 9)
EVERYTHING = (1 << len(KINDS)) - 1
FEWEST_KINDS = 4
"""A leaf leaves at least so many kinds of object to its scenes, so that they are many and look different."""

_BIT = {kind: 1 << i for i, kind in enumerate(KINDS)}
_SHOWING = {
    (attribute, value): sum(_BIT[k] for k in KINDS if getattr(k, attribute) == value)
    for attribute, values in ATTRIBUTES.items()
    for value in values
}


def mask(kinds: Iterable[Kind]) -> int:
    """The set of these kinds."""
    bits = 0
    for kind in kinds:
        bits |= _BIT[kind]
    return bits


def members(bits: int) -> list[Kind]:
    return [kind for kind in KINDS if bits & _BIT[kind]]


@dataclass(frozen=True, slots=True)
class Leaf:
    """A response, "Case k"."""

    case: int


@dataclass(frozen=True, slots=True)
class Node:
    """Is there an object (of those singled out so far) whose attribute has this value?"""

    attribute: str
    value: str
    yes: Node | Leaf
    no: Node | Leaf
    crop: str | None = None
    """Path of the picture that shows the value in place of its name (ClevrPolicy-M)."""


@dataclass(frozen=True, slots=True)
class Reach:
    """What the answers on a path say of a scene."""

    allowed: int = EVERYTHING
    """Kinds of object that may still occur."""
    needed: tuple[int, ...] = ()
    """Of each of these sets at least one kind occurs."""
    focus: int = EVERYTHING
    """The kinds singled out so far: the next test asks about these only."""

    def after(self, node: Node, holds: bool, accumulate: bool) -> Reach:
        met = self.focus & _SHOWING[node.attribute, node.value]
        if not holds:
            return replace(self, allowed=self.allowed & ~met)
        if accumulate:
            return Reach(self.allowed, (met,), met)  # what meets this condition met all before it
        return Reach(self.allowed, (*self.needed, met))

    @property
    def possible(self) -> bool:
        """Whether scenes get here, and enough different ones."""
        return self.allowed.bit_count() >= FEWEST_KINDS and all(need & self.allowed for need in self.needed)


@dataclass(frozen=True, slots=True)
class Step:
    """A condition visited on the way of a scene to its leaf."""

    condition: str
    """Its number, such as "1.2"; the numbers of its true and false branch end in .1 and .2."""
    node: Node
    narrowed: bool
    """Whether an earlier condition has singled out objects."""
    met: int
    """The kinds that would meet it."""
    holds: bool


@dataclass(frozen=True, slots=True)
class Tree:
    """A policy's decisions. With accumulate (the paper's reading) a condition that holds singles out the
    objects that meet it, and the conditions after it ask about those only (paper, error analysis)."""

    root: Node
    accumulate: bool = True

    def sections(self) -> Iterator[tuple[str, Node, Reach]]:
        """Every condition, depth first, with its number and what is known of a scene that gets there."""
        for condition, branch, reach in self._branches():
            if isinstance(branch, Node):
                yield condition, branch, reach

    def leaves(self) -> Iterator[tuple[Leaf, Reach]]:
        for _, branch, reach in self._branches():
            if isinstance(branch, Leaf):
                yield branch, reach

    def walk(self, kinds: int) -> tuple[list[Step], Leaf]:
        """The way of a scene that holds this set of kinds."""
        steps: list[Step] = []
        branch: Node | Leaf = self.root
        condition, focus = "1", EVERYTHING
        while isinstance(branch, Node):
            met = focus & _SHOWING[branch.attribute, branch.value]
            holds = bool(met & kinds)
            steps.append(Step(condition, branch, focus != EVERYTHING, met, holds))
            condition += ".1" if holds else ".2"
            branch = branch.yes if holds else branch.no
            if holds and self.accumulate:
                focus = met
        return steps, branch

    def _branches(self) -> Iterator[tuple[str, Node | Leaf, Reach]]:
        stack: list[tuple[str, Node | Leaf, Reach]] = [("1", self.root, Reach())]
        while stack:
            condition, branch, reach = stack.pop()
            yield condition, branch, reach
            if isinstance(branch, Node):
                for end, holds, child in ((".2", False, branch.no), (".1", True, branch.yes)):
                    stack.append((condition + end, child, reach.after(branch, holds, self.accumulate)))


def sample(rng: random.Random, depth: int, accumulate: bool = True) -> Tree:
    """A random tree with this many layers of conditions (paper, ClevrPolicy).

    No test has an answer that the path already fixes, and below its true edge an attribute is not tested
    again. A path ends early where no test is left: 4, 16, 40 and 64 leaves at depths 2, 4, 6 and 8, whatever
    is drawn (the paper has 55 at 6).
    """
    check_depth(depth)
    grown = _grow(rng, depth, accumulate, Reach(), frozenset())
    cases = list(range(sum(1 for _ in _leaves(grown))))
    rng.shuffle(cases)
    root = _number(grown, iter(cases))
    if not isinstance(root, Node):
        raise RuntimeError("a tree of depth 1 or more has a condition at its root")
    return Tree(root, accumulate)


def check_depth(depth: int) -> None:
    if depth not in DEPTHS:
        raise UserError(f"depth: expected {DEPTHS[0]}..{DEPTHS[-1]}, got {depth}")


def _grow(
    rng: random.Random, depth: int, accumulate: bool, reach: Reach, settled: frozenset[str]
) -> Node | Leaf:
    open_tests = _open_tests(reach, settled, accumulate) if depth else {}
    if not open_tests:
        return Leaf(-1)
    attribute = rng.choice(sorted(open_tests))
    test = Node(attribute, rng.choice(open_tests[attribute]), Leaf(-1), Leaf(-1))
    yes = _grow(rng, depth - 1, accumulate, reach.after(test, True, accumulate), settled | {attribute})
    no = _grow(rng, depth - 1, accumulate, reach.after(test, False, accumulate), settled)
    return replace(test, yes=yes, no=no)


def _open_tests(reach: Reach, settled: frozenset[str], accumulate: bool) -> dict[str, list[str]]:
    """By attribute: the values that a scene at this point may or may not show."""
    found: dict[str, list[str]] = {}
    for attribute in ATTRIBUTES.keys() - settled:
        for value in ATTRIBUTES[attribute]:
            test = Node(attribute, value, Leaf(-1), Leaf(-1))
            if all(reach.after(test, holds, accumulate).possible for holds in (True, False)):
                found.setdefault(attribute, []).append(value)
    return found


def _leaves(branch: Node | Leaf) -> Iterator[Leaf]:
    if isinstance(branch, Leaf):
        yield branch
    else:
        yield from itertools.chain(_leaves(branch.yes), _leaves(branch.no))


def _number(branch: Node | Leaf, cases: Iterator[int]) -> Node | Leaf:
    """The same tree with cases given to its leaves, in an order that was shuffled before."""
    if isinstance(branch, Leaf):
        return Leaf(next(cases))
    yes = _number(branch.yes, cases)
    return replace(branch, yes=yes, no=_number(branch.no, cases))


def witness(rng: random.Random, reach: Reach, objects: int) -> tuple[Kind, ...]:
    """Kinds of a scene with this many objects that gets there; objects >= len(reach.needed)."""
    kinds: list[Kind] = []
    # The narrowest need first: one object may meet several.
    for need in sorted(reach.needed, key=int.bit_count):
        if not need & mask(kinds):
            kinds.append(rng.choice(members(need & reach.allowed)))
    fillers = members(reach.allowed)
    kinds += [rng.choice(fillers) for _ in range(objects - len(kinds))]
    rng.shuffle(kinds)
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
