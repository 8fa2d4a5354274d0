"""The base class of policy families: how responses are graded, and what the right answer is.

A family is found by the name in a benchmark's manifest, through the entry point group `harness.families`.
A subclass must define `scorer` and `grade`. Everything else has a default, so a family without rules, groups
or errors to analyze is a few lines long.
"""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
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

    def grade_agent(self, instance: Instance, target: str, agent: Callable[[str], str]) -> Grade:
        """The grade of a scripted agent, a function from the correct answer to a response."""
        return self.grade(instance, target, agent(target))

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


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one response in a dialog did. The later questions show it as a line of their history."""

    # The call as a later question shows it.
    call: str
    # The result of the call, or an error message.
    returned: str
    # Whether this is the recorded call of its step, so that the next step follows.
    right: bool


class DialogFamily(Family):
    """A family whose instances are the steps of dialogs: `--multi-turn` asks them one after another.

    The instances of a dialog are in one file, in the order of its steps. A step without an override has the
    same answer under the policy that overrides the other steps. `harness/dialogs` explains how it is used.
    """

    # The sentence in each question that says in which form to answer.
    answer_form: ClassVar[str]

    @abstractmethod
    def dialog(self, instance: Instance) -> str:
        """The id of the dialog that this instance is a step of. It is not the id of an instance."""

    @abstractmethod
    def query_after(self, instance: Instance, history: Sequence[Outcome]) -> tuple[Part, ...]:
        """The query of this step after other calls than the recorded ones.

        It equals the instance's own query if the history consists of the correct calls and their results.
        """

    @abstractmethod
    def outcome(self, instance: Instance, target: str, text: str) -> Outcome:
        """What a response to this step does, given the correct answer."""
