"""Random scenes that reach a given leaf, and random policies in the wording of a benchmark."""

import random
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from clevrpolicy.policy import tree as trees
from clevrpolicy.policy import wording
from clevrpolicy.policy.tree import Leaf, Node, PathConstraint, Tree, witness
from clevrpolicy.scene.ontology import KINDS, Kind
from clevrpolicy.scene.placement import split_of
from harness.generation.names import pronounceable
from training.base.data.examples import Picture
from training.base.data.image_pool import MAX_OBJECTS, MIN_OBJECTS, ImagePool

# The constraint at the root of a tree, which every scene meets.
ANYWHERE = PathConstraint()
# Share of policies that do not accumulate, share of policies that replace another one, and, in policies with
# pictures, share of conditions that show one.
NOT_ACCUMULATING_SHARE, REPLACING_SHARE, CROP_SHARE = 0.1, 0.3, 0.5


@dataclass(frozen=True, slots=True)
class SceneSample:
    """A scene as a question shows it, and its objects in the order of a caption."""

    part: Picture | str  # an empty text for a scene in words, to which the task adds a caption
    kinds: tuple[Kind, ...]


class SceneSampler:
    """Samples from the scenes `first` to `last` (exclusive) of a pool, and from all of its crops."""

    def __init__(self, pool: ImagePool, first: int, last: int) -> None:
        self.pool, self.first, self.last = pool, first, last
        self.contents = [pool.content(index) for index in range(first, last)]
        self.kinds_OS = np.ascontiguousarray(pool.kinds[first:last].T)
        self.crops: dict[Kind, list[int]] = {}
        for index, kind in enumerate(pool.crop_kinds.tolist()):
            self.crops.setdefault(KINDS[kind], []).append(index)

    def picture(self, rng: random.Random) -> SceneSample:
        """A picture of a scene, mirrored half of the time."""
        return self._picture(rng, rng.choice(range(len(self.contents))))

    def picture_reaching(self, rng: random.Random, reach: PathConstraint) -> SceneSample | None:
        """A picture of a scene that meets `reach`, mirrored half of the time; None if there is none."""
        candidates = np.flatnonzero(self._scenes_meeting(reach))
        return self._picture(rng, int(rng.choice(candidates))) if len(candidates) else None

    def _picture(self, rng: random.Random, index: int) -> SceneSample:
        kinds, mirrored = self.contents[index], rng.random() < 0.5
        return SceneSample(Picture("scene", self.first + index, mirrored), kinds[::-1] if mirrored else kinds)

    def sentence(self, rng: random.Random, reach: PathConstraint = ANYWHERE) -> SceneSample:
        """A new scene that meets `reach`, without a picture."""
        while True:
            kinds = witness(rng, reach, max(rng.randint(MIN_OBJECTS, MAX_OBJECTS), len(reach.needed)))
            if split_of(kinds) == "train":
                return SceneSample("", kinds)

    def crop(self, rng: random.Random, attribute: str, value: str) -> Picture:
        """A crop of an object with this value, mirrored half of the time."""
        kind = rng.choice([kind for kind in KINDS if getattr(kind, attribute) == value])
        return Picture("crop", rng.choice(self.crops[kind]), rng.random() < 0.5)

    def _scenes_meeting(self, reach: PathConstraint) -> npt.NDArray[np.bool_]:
        meeting = ~self._scenes_with(~reach.allowed & trees.EVERYTHING)
        for kinds in reach.needed:
            meeting &= self._scenes_with(kinds)
        return meeting

    def _scenes_with(self, kinds: int) -> npt.NDArray[np.bool_]:
        """Which scenes contain an object of any of these kinds, given as a bit set."""
        # One entry for each kind, and a last one that the index -1 (no object) selects.
        wanted = np.array([bool(kinds >> kind & 1) for kind in range(len(KINDS))] + [False])
        return np.asarray(wanted[self.kinds_OS].any(0))


@dataclass(frozen=True, slots=True)
class PolicySample:
    """A policy: its decision tree, its name, and its content as a question shows it."""

    tree: Tree
    name: str
    content: tuple[str | Picture, ...]


def sample_policy(rng: random.Random, sampler: SceneSampler, depth: int, visual: bool) -> PolicySample:
    """A random policy with a random name. If `visual`, pictures replace about half of its values."""
    tree = trees.sample(rng, depth, accumulate=rng.random() >= NOT_ACCUMULATING_SHARE)
    crops: dict[str, Picture] = {}
    if visual:
        tree = replace(tree, root=_with_crops(tree.root, "1", rng, sampler, crops))
    # In the form of the benchmarks' names, such as "L2-Surinu".
    name = f"L{depth}-{pronounceable(rng)}"
    parts = wording.content(tree, name, rng, shuffle=True, replaces=rng.random() < REPLACING_SHARE)
    # The value of an image part is the number of its condition.
    content = tuple(crops[part.value] if part.kind == "image" else part.value for part in parts)
    return PolicySample(tree, name, content)


def _with_crops(
    node: Node, condition: str, rng: random.Random, sampler: SceneSampler, crops: dict[str, Picture]
) -> Node:
    """The subtree with some values shown as crops. Adds each crop to `crops` under its condition's number."""
    yes, no = (
        branch if isinstance(branch, Leaf) else _with_crops(branch, number, rng, sampler, crops)
        for branch, number in node.branches(condition)
    )
    if rng.random() >= CROP_SHARE:
        return replace(node, yes=yes, no=no)
    crops[condition] = sampler.crop(rng, node.attribute, node.value)
    return replace(node, yes=yes, no=no, crop=condition)
