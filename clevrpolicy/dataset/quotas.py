"""Which scenes serve which policies: one scene may serve many, because pictures are the dear part.

Balanced, a policy's instances are shared evenly among its leaves (within one), by making scenes to order;
natural, every policy is asked about the same random scenes (as in the paper).
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from clevrpolicy.policy.tree import Reach, Tree, mask, witness
from clevrpolicy.scene.ontology import Kind
from clevrpolicy.scene.placement import split_of
from harness.errors import UserError

CANDIDATES = 12
"""Scenes drawn for a leaf; the one that serves most policies is kept."""
FEW_TRIES = 100
TRIES = 4000
"""Draws for a leaf before its different scenes count as used up."""

Content = tuple[Kind, ...]


@dataclass(frozen=True, slots=True)
class Planned:
    """A scene by its content, and the policies that ask about it."""

    kinds: Content
    policies: tuple[str, ...]


class Fresh:
    """Random contents of one split, no two alike."""

    def __init__(self, rng: random.Random, split: str, least: int, most: int) -> None:
        """least and most are how many objects a scene has."""
        self.rng, self.split, self.least, self.most = rng, split, least, most
        self.used: set[Content] = set()

    def draw(self, reach: Reach, what: str, candidates: int = 1) -> list[Content]:
        """New ones that get there, fewer where they become rare.

        Raises UserError, naming what they were for, where TRIES bring none.
        """
        found: list[Content] = []
        for tries in range(TRIES):
            if len(found) == candidates or (found and tries > FEW_TRIES):
                return found
            count = max(self.rng.randint(self.least, self.most), len(reach.needed))
            kinds = witness(self.rng, reach, count)
            if split_of(kinds) == self.split and tuple(sorted(kinds)) not in self.used:
                found.append(kinds)
        if found:
            return found
        raise UserError(
            f"{self.split}: expected more different scenes for {what} than exist with "
            f"{self.least}..{self.most} objects; ask for fewer with --{self.split}, allow more objects, or "
            "take another --seed"
        )

    def keep(self, kinds: Content) -> None:
        self.used.add(tuple(sorted(kinds)))


def natural(trees: Mapping[str, Tree], count: int, fresh: Fresh) -> Iterator[Planned]:
    for _ in range(count):
        (kinds,) = fresh.draw(Reach(), "random sampling")
        fresh.keep(kinds)
        yield Planned(kinds, tuple(trees))


def balanced(trees: Mapping[str, Tree], count: int, fresh: Fresh) -> Iterator[Planned]:
    """count instances a policy, its leaves within one of each other."""
    quotas = {name: _quotas(tree, count, fresh.rng) for name, tree in trees.items()}
    reaches = {name: {leaf.case: reach for leaf, reach in tree.leaves()} for name, tree in trees.items()}
    while wanted := _most_wanted(quotas):
        name, case = wanted
        what = f"Case {case} of policy {name}"
        drawn = fresh.draw(reaches[name][case], what, CANDIDATES if len(trees) > 1 else 1)
        kinds, served = max(((k, _served(trees, quotas, k)) for k in drawn), key=lambda pair: len(pair[1]))
        fresh.keep(kinds)
        yield Planned(kinds, _take(quotas, served))


def chosen(
    trees: Mapping[str, Tree], count: int, pool: Iterable[Content], rng: random.Random, balance: bool
) -> Iterator[Planned]:
    """The same from scenes that exist already, in the order of the pool; some may serve no policy.

    Raises UserError where the pool ends before every policy has its count.
    """
    quotas = {
        name: _quotas(tree, count, rng) if balance else {leaf.case: count for leaf, _ in tree.leaves()}
        for name, tree in trees.items()
    }
    missing = dict.fromkeys(trees, count)
    for kinds in pool:
        served = {name: case for name, case in _served(trees, quotas, kinds).items() if missing[name]}
        for name in served:
            missing[name] -= 1
        yield Planned(kinds, _take(quotas, served))
        if not any(missing.values()):
            return
    name = max(missing, key=lambda n: missing[n])
    left = {f"Case {case}": n for case, n in quotas[name].items() if n}
    raise UserError(
        f"import: expected {count} scenes for policy {name}, {missing[name]} were not to be found "
        f"({', '.join(left)} lack scenes); ask for fewer, or for --balance natural"
    )


Quotas = dict[str, dict[int, int]]


def _quotas(tree: Tree, count: int, rng: random.Random) -> dict[int, int]:
    """By case: how many scenes it still wants."""
    cases = sorted(leaf.case for leaf, _ in tree.leaves())
    more = set(rng.sample(cases, count % len(cases)))
    return {case: count // len(cases) + (case in more) for case in cases}


def _most_wanted(quotas: Quotas) -> tuple[str, int] | None:
    name, case = max(
        ((n, c) for n, cases in quotas.items() for c in cases), key=lambda at: quotas[at[0]][at[1]]
    )
    return (name, case) if quotas[name][case] else None


def _served(trees: Mapping[str, Tree], quotas: Quotas, kinds: Sequence[Kind]) -> dict[str, int]:
    """The policies that still want a scene like this one, each with the case that it gets."""
    bits = mask(kinds)
    cases = {name: tree.walk(bits)[1].case for name, tree in trees.items()}
    return {name: case for name, case in cases.items() if quotas[name][case]}


def _take(quotas: Quotas, served: Mapping[str, int]) -> tuple[str, ...]:
    for name, case in served.items():
        quotas[name][case] -= 1
    return tuple(served)
