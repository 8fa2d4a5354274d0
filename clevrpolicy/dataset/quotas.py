"""Plans which scenes serve which policies, with few scenes because rendering is the expensive step.

With `--balance leaf`, the instances of a policy are spread evenly over its leaves (they differ by at most
one). A leaf's quota is the number of instances that it still needs. `balanced` repeats these steps until all
quotas are zero:

    quotas                          1. take the leaf with the largest quota (A, Case 0)
             Case 0  Case 1  ...    2. sample up to 12 scenes that reach this leaf
    policy A    7       6           3. for each scene, find the leaf that it reaches in every policy; it
    policy B    6       0              serves the policies where that leaf has a quota left
    policy C    5       6           4. use the scene that serves most policies, and lower their quotas by one

With `--balance natural` (the paper's setting), every policy asks about the same random scenes. An import
uses the same Quotas, but reads CLEVR's scenes in random order and selects those that serve a policy.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from clevrpolicy.policy.tree import PathConstraint, Tree, mask, witness
from clevrpolicy.scene.ontology import Kind
from clevrpolicy.scene.placement import split_of
from harness.errors import UserError

# Scenes sampled for a leaf, of which the one that serves most policies is used.
CANDIDATES = 12
# After this many samples, one candidate is enough.
FEW_TRIES = 100
# After this many samples without a candidate, the leaf is considered to have no unused scenes left.
TRIES = 4000

# The kinds of a scene's objects.
Content = tuple[Kind, ...]
# A scene's content and the ids of the policies that ask about it.
Allocation = tuple[Content, tuple[str, ...]]


@dataclass(frozen=True, slots=True)
class SceneSpec:
    """A planned scene of a benchmark. The positions of its objects are sampled when it is rendered."""

    scene_id: str
    split: str
    kinds: Content
    # The policies that ask about it.
    policy_ids: tuple[str, ...] = ()
    # The name of its picture; None for the id with .png.
    picture: str | None = None

    @property
    def image(self) -> str:
        return f"images/{self.picture or f'{self.scene_id}.png'}"


class SceneSampler:
    """Samples the contents of a split's scenes. No two used scenes have the same objects."""

    def __init__(self, rng: random.Random, split: str, min_objects: int, max_objects: int) -> None:
        self.rng, self.split = rng, split
        self.min_objects, self.max_objects = min_objects, max_objects
        self.used: set[Content] = set()

    def sample(self, constraint: PathConstraint, purpose: str, candidates: int = 1) -> list[Content]:
        """Unused contents that meet a constraint: `candidates` of them, or fewer if they are rare.

        Raises UserError, which names the purpose, if TRIES samples give none.
        """
        contents: list[Content] = []
        for tries in range(TRIES):
            if len(contents) == candidates or (contents and tries > FEW_TRIES):
                return contents
            count = max(self.rng.randint(self.min_objects, self.max_objects), len(constraint.needed))
            kinds = witness(self.rng, constraint, count)
            if split_of(kinds) == self.split and tuple(sorted(kinds)) not in self.used:
                contents.append(kinds)
        if contents:
            return contents
        raise UserError(
            f"--{self.split}: not enough different scenes exist for {purpose} with {self.min_objects}.."
            f"{self.max_objects} objects; request fewer instances, allow more objects, or use another --seed"
        )

    def use(self, kinds: Content) -> None:
        self.used.add(tuple(sorted(kinds)))


class Quotas:
    """How many instances each policy, and each of its leaves, still needs."""

    def __init__(self, trees: Mapping[str, Tree], count: int, rng: random.Random, balance: bool) -> None:
        """Each policy needs count instances. Without balance, a single leaf may have all of them."""
        self.trees = trees
        self.by_policy = dict.fromkeys(trees, count)
        # Policy id -> case -> instances.
        self.by_leaf: dict[str, dict[int, int]] = {}
        for policy_id, tree in trees.items():
            cases = sorted(leaf.case for leaf, _ in tree.leaves())
            share, rest = divmod(count, len(cases)) if balance else (count, 0)
            one_more = rng.sample(cases, rest) if balance else []
            self.by_leaf[policy_id] = {case: share + (case in one_more) for case in cases}

    @property
    def complete(self) -> bool:
        return not any(self.by_policy.values())

    def largest(self) -> tuple[str, int]:
        """The id of the policy and the case with the largest quota."""
        leaves = ((policy_id, case) for policy_id, cases in self.by_leaf.items() for case in cases)
        return max(leaves, key=lambda leaf: self.by_leaf[leaf[0]][leaf[1]])

    def served(self, kinds: Content) -> dict[str, int]:
        """The policies that need a scene with this content, with the case that it reaches in each."""
        bits = mask(kinds)
        cases = {policy_id: tree.walk(bits)[1].case for policy_id, tree in self.trees.items()}
        return {p: case for p, case in cases.items() if self.by_policy[p] and self.by_leaf[p][case]}

    def take(self, kinds: Content) -> tuple[str, ...]:
        """Lowers the quotas that a scene with this content serves. Returns the ids of the policies."""
        served = self.served(kinds)
        for policy_id, case in served.items():
            self.by_policy[policy_id] -= 1
            self.by_leaf[policy_id][case] -= 1
        return tuple(served)


def natural(trees: Mapping[str, Tree], count: int, sampler: SceneSampler) -> Iterator[Allocation]:
    """Random scenes, count in total, about which every policy asks."""
    for _ in range(count):
        (kinds,) = sampler.sample(PathConstraint(), "random sampling")
        sampler.use(kinds)
        yield kinds, tuple(trees)


def balanced(trees: Mapping[str, Tree], count: int, sampler: SceneSampler) -> Iterator[Allocation]:
    """Scenes that give count instances per policy, spread evenly over its leaves."""
    quotas = Quotas(trees, count, sampler.rng, balance=True)
    constraints = {
        (policy_id, leaf.case): constraint
        for policy_id, tree in trees.items()
        for leaf, constraint in tree.leaves()
    }
    candidates = CANDIDATES if len(trees) > 1 else 1
    while not quotas.complete:
        policy_id, case = quotas.largest()
        purpose = f"Case {case} of policy {policy_id}"
        contents = sampler.sample(constraints[policy_id, case], purpose, candidates)
        kinds = max(contents, key=lambda content: len(quotas.served(content)))
        sampler.use(kinds)
        yield kinds, quotas.take(kinds)
