"""A policy as a tree, and paths through it: what a family returns so that its policies can be drawn.

Node          the policy: decisions with labeled branches, and leaves
Path          the nodes that an instance visits, or that a response claims to visit
Mark          a part of the question that is the reason for a step, such as an object in a picture
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Node:
    """A decision of a policy, or a leaf, which has no branches."""

    # Different from all others in the tree, such as "1.2".
    id: str
    # How the policy calls it, such as "Condition 1.2" or "Case 4".
    name: str
    # What it decides, such as "a red object?".
    text: str = ""
    # The image that the policy shows there, relative to the benchmark's folder; "" if none.
    image: str = ""
    # Where it leads, each with a label such as "yes" or "".
    branches: tuple[tuple[str, Node], ...] = ()

    def walk(self) -> Iterator[Node]:
        """This node and all below it, depth first."""
        yield self
        for _, branch in self.branches:
            yield from branch.walk()

    def leaves(self) -> Iterator[Node]:
        return (node for node in self.walk() if not node.branches)


@dataclass(frozen=True, slots=True)
class Step:
    """A visited node, with the decision there and its reason, such as "yes: a small red metal cube"."""

    # An id that the tree may lack: a response can invent a condition.
    node: str
    note: str = ""


@dataclass(frozen=True, slots=True)
class Mark:
    """A part of an instance's question that is the reason for some steps."""

    # The index of the part in the query.
    part: int
    # Of an image: left, top, right and bottom in pixels. Of a text: the first character, and the one after
    # the last.
    place: tuple[int, ...]
    # The ids of the nodes.
    nodes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Path:
    """Visited nodes in order, down to a leaf if one is reached."""

    steps: tuple[Step, ...] = ()
    marks: tuple[Mark, ...] = ()
    # Of a response: its first error, and the id of the node where it occurs, if it has one.
    error: str = ""
    error_at: str = ""
