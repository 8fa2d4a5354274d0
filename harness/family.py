"""The base class of policy families: how responses are graded, and what the right answer is.

A family is found by the name in a benchmark's manifest, through the entry point group `harness.families`.
A subclass must define `scorer` and `grade`. Everything else has a default, so a family without rules, groups
or errors to analyze is a few lines long.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from harness.files.manifest import BenchmarkFiles
from harness.parsing import in_box
from harness.records import CitedRule, Grade, Instance, Part
from harness.tree import Node, Path
from harness.variants import Variant, target


class Family(ABC):
    """One kind of policy, constructed with the benchmark that it grades."""

    # Name and version of the grading method. Scores of different scorers are never compared.
    scorer: str
    # Grades the questions of the split "recall", which ask for the policy's own words.
    recall: ClassVar[type[Family] | None] = None
    # Grades the questions of `cloze_questions`.
    cloze: ClassVar[type[Family] | None] = None

    def __init__(self, benchmark: BenchmarkFiles) -> None:
        self.benchmark = benchmark

    @abstractmethod
    def grade(self, instance: Instance, target: str, text: str) -> Grade:
        """How correct a response is, from 0 to 1.

        The target comes from the instance or its override. This is also the reward in RL.
        """

    def answers(self, instance: Instance, variant: Variant) -> Sequence[str]:
        """Every answer that the governing policy can give; empty if they cannot be listed."""
        return ()

    def respond(self, answer: str) -> str:
        """The shortest response that gives this answer."""
        return in_box(answer)

    def gold(self, instance: Instance, variant: Variant) -> str:
        """A complete correct response, including its reasoning."""
        return self.respond(target(instance, variant) or instance.target)

    def reworded(self, policy: str, rng: random.Random) -> tuple[Part, ...] | None:
        """The content of a policy in a random wording and order of sections; None if it has only one.

        This and `rule_question` are for training, so they must use no more than the policy states.
        """
        return None

    def rule_question(self, policy: str, rng: random.Random) -> tuple[str, tuple[Part, ...]] | None:
        """A random question about a policy and its answer, in other words than those of the split recall."""
        return None

    def cloze_questions(self) -> Sequence[Instance]:
        """Questions in the middle of a response: the last part of each query is its beginning.

        They are made from the benchmark, form the split "cloze", and are graded by the class `cloze`.
        """
        return ()

    def groups(self, instance: Instance, variant: Variant) -> Mapping[str, str]:
        """How the report splits the scores, such as {"leaf depth": "3"}."""
        return {}

    def cited_rules(self, instance: Instance, variant: Variant, text: str) -> Sequence[CitedRule]:
        """Every rule that a response cites, checked against the policy."""
        return ()

    def gold_rules(self, instance: Instance, variant: Variant) -> Sequence[str]:
        """The rules that lead to the correct answer, named as in `cited_rules`."""
        return ()

    def first_error(self, instance: Instance, variant: Variant, text: str) -> str | None:
        """The first error of a wrong response, such as "perception: color"; None if undetermined."""
        return None

    def tree(self, policy: str) -> Node | None:
        """The policy with this id as a tree, to draw it; None if it cannot be drawn as one."""
        return None

    def leaf(self, instance: Instance, variant: Variant) -> str:
        """The name of the leaf that is correct, or the correct answer if there is no tree."""
        return target(instance, variant) or instance.target

    def gold_path(self, instance: Instance, variant: Variant) -> Path:
        """The correct path through the tree of the governing policy."""
        return Path()

    def claimed_path(self, instance: Instance, variant: Variant, text: str) -> Path:
        """The path that a response claims, and its first error if its answer is wrong."""
        return Path()
