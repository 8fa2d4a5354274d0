"""Plans which scenes serve which policies, with few scenes because rendering is the expensive step.

With `--balance leaf`, the instances of a policy are spread evenly over its leaves (they differ by at most
one). A leaf's quota is the number of instances that it still needs. `balanced` repeats these steps until all
quotas are zero:

    quotas                          1. take the leaf with the largest quota (A, Case 0)
             Case 0  Case 1  ...    2. sample a few scenes that reach this leaf
    policy A    7       6           3. for each scene, add up the quotas of the leaves that it reaches in
    policy B    6       0              all policies
    policy C    5       6           4. use the scene with the largest sum, and lower these quotas by one

Leaves that few random scenes reach have the largest quotas, so the sum prefers scenes that serve several of
them. The time per scene does not grow with the number of policies: up to GROUP policies share scenes, and the
more policies a group has, the fewer scenes are compared.

With `--balance natural` (the paper's setting), every policy asks about the same random scenes. An import
uses the same Quotas, but reads CLEVR's scenes in random order and selects those that serve a policy.
"""

import heapq
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from clevrpolicy.policy.table import CaseTable
from clevrpolicy.policy.tree import PathConstraint, Tree, mask, witness
from clevrpolicy.scene.ontology import Kind
from clevrpolicy.scene.placement import fingerprint, split_by
from harness.errors import UserError
from harness.seeds import rng

# The version of the plans, stored in manifests: another version plans other scenes for the same seed.
PLANNER = "2"
# The most policies that share scenes with `--balance leaf`.
GROUP = 32
# The scenes compared for a leaf, times the policies of the group. At least MIN_CANDIDATES are compared.
COMPARISONS = 60
MIN_CANDIDATES = 2
# After this many samples, a leaf or a split is considered to have no unused scenes left.
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
    # The folder of its block, relative to the benchmark's and ending in "/", or empty.
    folder: str = ""

    @property
    def image(self) -> str:
        return f"{self.folder}images/{self.picture or f'{self.scene_id}.png'}"


class SceneSampler:
    """Samples the contents of a split's scenes. No two used scenes have the same objects."""

    def __init__(self, rng: random.Random, split: str, min_objects: int, max_objects: int) -> None:
        self.rng, self.split = rng, split
        self.min_objects, self.max_objects = min_objects, max_objects
        self.used: set[bytes] = set()

    def sample(self, constraint: PathConstraint) -> Content:
        """A content that meets a constraint. It may be used, or belong to another split."""
        count = self.min_objects + int(self.rng.random() * (self.max_objects - self.min_objects + 1))
        return witness(self.rng, constraint, max(count, len(constraint.needed)))

    def use(self, kinds: Content) -> bool:
        """Whether the content is an unused one of this split; from then on it is used."""
        content = fingerprint(kinds)
        if split_by(content) != self.split or content in self.used:
            return False
        self.used.add(content)
        return True

    def exhausted(self, purpose: str) -> UserError:
        return UserError(
            f"--{self.split}: not enough different scenes exist for {purpose} with {self.min_objects}.."
            f"{self.max_objects} objects; request fewer instances, allow more objects, or use another --seed"
        )


class Quotas:
    """How many instances each policy, and each of its leaves, still needs."""

    def __init__(
        self, trees: Mapping[str, Tree], split: str, numbers: range, seed: int, balance: bool
    ) -> None:
        """`numbers`: the instances of each policy, as a part of all its instances of the split.

        With balance, each part takes the leaves in turn where the part before it stopped, so that both the
        parts and the whole are spread evenly. Without balance, a single leaf may have all instances.
        """
        self.policy_ids = tuple(trees)
        self.tables = [CaseTable(tree) for tree in trees.values()]
        self.by_policy = [len(numbers)] * len(trees)
        # By policy and case.
        self.by_leaf: list[list[int]] = []
        for policy_id, table in zip(trees, self.tables, strict=True):
            cases = list(range(len(table.paths)))
            rng(seed, "leaves", policy_id, split).shuffle(cases)
            quotas = [len(numbers)] * len(cases)
            for place, case in enumerate(cases) if balance else ():
                first = numbers.start + (place - numbers.start) % len(cases)
                quotas[case] = len(range(first, numbers.stop, len(cases)))
            self.by_leaf.append(quotas)

    @property
    def complete(self) -> bool:
        return not any(self.by_policy)

    def cases(self, kinds: Content) -> list[int]:
        """The case that a scene with this content reaches in each policy."""
        bits = mask(kinds)
        return [table.case(bits) for table in self.tables]

    def need(self, cases: list[int]) -> int:
        """The sum of the quotas of these cases."""
        return sum([quotas[case] for quotas, case in zip(self.by_leaf, cases, strict=True)])

    def take(self, cases: list[int]) -> tuple[str, ...]:
        """Lowers the quotas that a scene with these cases serves. Returns the ids of the policies."""
        served = []
        for index, case in enumerate(cases):
            if self.by_leaf[index][case] and self.by_policy[index]:
                self.by_leaf[index][case] -= 1
                self.by_policy[index] -= 1
                served.append(self.policy_ids[index])
        return tuple(served)

    def largest(self) -> Iterator[tuple[int, int]]:
        """The policy (its index) and the case with the largest quota, again and again until all are zero.

        Quotas only shrink, so an outdated one is corrected when it reaches the top of the heap.
        """
        heap = [(-n, index, case) for index, ns in enumerate(self.by_leaf) for case, n in enumerate(ns) if n]
        heapq.heapify(heap)
        while heap:
            negative, index, case = heap[0]
            quota = self.by_leaf[index][case]
            if quota == -negative:
                yield index, case
            elif quota:
                heapq.heapreplace(heap, (-quota, index, case))
            else:
                heapq.heappop(heap)


def natural(policy_ids: tuple[str, ...], count: int, sampler: SceneSampler) -> Iterator[Allocation]:
    """Random scenes, count in total, about which every policy asks."""
    for _ in range(count):
        for _ in range(TRIES):
            kinds = sampler.sample(PathConstraint())
            if sampler.use(kinds):
                break
        else:
            raise sampler.exhausted("random sampling")
        yield kinds, policy_ids


def balanced(
    trees: Mapping[str, Tree], numbers: range, seed: int, sampler: SceneSampler
) -> Iterator[Allocation]:
    """Scenes that give each policy its instances with these numbers, spread evenly over its leaves."""
    policy_ids = list(trees)
    for start in range(0, len(policy_ids), GROUP):
        group = {policy_id: trees[policy_id] for policy_id in policy_ids[start : start + GROUP]}
        quotas = Quotas(group, sampler.split, numbers, seed, balance=True)
        constraints = [{leaf.case: path for leaf, path in tree.leaves()} for tree in group.values()]
        for index, case in quotas.largest():
            found = _best(quotas, constraints[index][case], sampler)
            if found is None:
                raise sampler.exhausted(f"Case {case} of policy {quotas.policy_ids[index]}")
            kinds, cases = found
            yield kinds, quotas.take(cases)


def _best(
    quotas: Quotas, constraint: PathConstraint, sampler: SceneSampler
) -> tuple[Content, list[int]] | None:
    """The most needed of a few unused scenes that meet a constraint, and its cases; None if there is none."""
    policies = len(quotas.policy_ids)
    candidates = max(MIN_CANDIDATES, COMPARISONS // policies) if policies > 1 else 1
    for _ in range(0, TRIES, candidates):
        contents = [sampler.sample(constraint) for _ in range(candidates)]
        compared = [(kinds, quotas.cases(kinds)) for kinds in contents]
        compared.sort(key=lambda scene: quotas.need(scene[1]), reverse=True)
        for kinds, cases in compared:
            if sampler.use(kinds):
                return kinds, cases
    return None
