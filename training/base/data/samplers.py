"""What tasks are drawn from: scenes that get to a leaf, names, and policies as a benchmark words them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from clevrpolicy.policy import tree as trees
from clevrpolicy.policy import wording
from clevrpolicy.policy.policies import ONSETS, VOWELS
from clevrpolicy.policy.tree import Leaf, Node, Reach, Tree, mask, witness
from clevrpolicy.scene.ontology import KINDS, Kind
from clevrpolicy.scene.placement import split_of
from harness.records import Part
from training.base.data.examples import Picture
from training.base.data.image_pool import FEWEST, MOST, Pool

ANYWHERE = Reach()
HALF = 64
LOW = (1 << HALF) - 1

ALONE_SHARE, REPLACES_SHARE, CROP_SHARE = 0.1, 0.3, 0.5
"""How many policies do not accumulate, replace another, and of conditions in -M show a picture."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A scene as a question shows it, a picture or a sentence, and its objects in the order of telling."""

    part: Picture | str
    kinds: tuple[Kind, ...]


class Material:
    """Scenes and crops of a pool, from first up to last."""

    def __init__(self, pool: Pool, first: int, last: int) -> None:
        self.pool, self.first, self.last = pool, first, last
        self.contents = [pool.content(index) for index in range(first, last)]
        masks = [mask(kinds) for kinds in self.contents]
        self.low = np.array([bits & LOW for bits in masks], dtype=np.uint64)
        self.high = np.array([bits >> HALF for bits in masks], dtype=np.uint64)
        self.crops: dict[Kind, list[int]] = {}
        for index, kind in enumerate(pool.crop_kinds.tolist()):
            self.crops.setdefault(KINDS[kind], []).append(index)

    def picture(self, draw: random.Random, reach: Reach = ANYWHERE) -> Shown | None:
        """A picture of a scene that gets there, mirrored half of the time; None where there is none."""
        found = np.flatnonzero(self._reaching(reach)) if reach != ANYWHERE else range(len(self.contents))
        if not len(found):
            return None
        index, mirrored = int(draw.choice(found)), draw.random() < 0.5
        kinds = self.contents[index]
        return Shown(Picture("scene", self.first + index, mirrored), kinds[::-1] if mirrored else kinds)

    def sentence(self, draw: random.Random, reach: Reach = ANYWHERE) -> Shown:
        """A scene that gets there, in words."""
        while True:
            kinds = witness(draw, reach, max(draw.randint(FEWEST, MOST), len(reach.needed)))
            if split_of(kinds) == "train":
                return Shown("", kinds)

    def crop(self, draw: random.Random, attribute: str, value: str) -> Picture:
        kind = draw.choice([kind for kind in KINDS if getattr(kind, attribute) == value])
        return Picture("crop", draw.choice(self.crops[kind]), draw.random() < 0.5)

    def _reaching(self, reach: Reach) -> npt.NDArray[np.bool_]:
        ok = ~self._any(~reach.allowed & trees.EVERYTHING)
        for need in reach.needed:
            ok &= self._any(need)
        return ok

    def _any(self, bits: int) -> npt.NDArray[np.bool_]:
        """Which scenes hold an object of these kinds."""
        low, high = np.uint64(bits & LOW), np.uint64(bits >> HALF)
        return ((self.low & low) | (self.high & high)) != 0  # type: ignore[no-any-return]


@dataclass(frozen=True, slots=True)
class Drawn:
    """A policy: its tree, its name, and its content as a question shows it."""

    tree: Tree
    name: str
    content: tuple[str | Picture, ...]


def policy(draw: random.Random, material: Material, depth: int, visual: bool) -> Drawn:
    """A random one under a random name; in -M half of its values are shown as pictures."""
    tree = trees.sample(draw, depth, accumulate=draw.random() >= ALONE_SHARE)
    crops: dict[str, Picture] = {}
    if visual:
        tree = replace(tree, root=_pictured(tree.root, "1", draw, material, crops))
    named = name(draw, depth)
    parts = wording.content(tree, named, draw, shuffle=True, replaces=draw.random() < REPLACES_SHARE)
    return Drawn(tree, named, tuple(_shown(parts, crops)))


def _pictured(
    node: Node, condition: str, draw: random.Random, material: Material, crops: dict[str, Picture]
) -> Node:
    """The node with pictures for some values, in it and below; crops is given each under its condition."""
    yes, no = (
        branch if isinstance(branch, Leaf) else _pictured(branch, condition + end, draw, material, crops)
        for branch, end in ((node.yes, ".1"), (node.no, ".2"))
    )
    if draw.random() >= CROP_SHARE:
        return replace(node, yes=yes, no=no)
    crops[condition] = material.crop(draw, node.attribute, node.value)
    return replace(node, yes=yes, no=no, crop=condition)


def _shown(parts: Sequence[Part], crops: dict[str, Picture]) -> list[Any]:
    return [crops[part.value] if part.kind == "image" else part.value for part in parts]


def name(draw: random.Random, depth: int) -> str:
    """As those of benchmarks are made, such as "L2-Surinu"."""
    syllables = (draw.choice(ONSETS) + draw.choice(VOWELS) for _ in range(3))
    return f"L{depth}-{''.join(syllables).capitalize()}"
