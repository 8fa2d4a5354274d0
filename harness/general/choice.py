"""A question with lettered options, as the harness sees it: a family without policies."""

from __future__ import annotations

import string
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from harness.errors import UserError
from harness.records import CitedRule, Grade, Instance
from harness.variants import Variant

if TYPE_CHECKING:
    from harness.files.benchmark import Benchmark

LETTERS = string.ascii_uppercase


def listing(options: Sequence[str]) -> str:
    """The options in lines "A. first", "B. second", ..."""
    return "\n".join(f"{letter}. {option}" for letter, option in zip(LETTERS, options, strict=False))


def check_answer(answer: str, options: Sequence[str], position: str) -> None:
    """Raises UserError, with the row's position, unless the answer is the letter of an option."""
    letters = LETTERS[: len(options)]
    if not letters or answer not in list(letters):
        expected = f"one of the letters {letters}" if letters else "options"
        raise UserError(f"{position}: answer: expected {expected}, got {answer!r}")


class Choice(ABC):
    """The right letter scores 1; facts hold the texts of the options."""

    scorer: str
    group: str
    """The fact that the report splits the scores by."""

    def __init__(self, benchmark: Benchmark) -> None:
        self.benchmark = benchmark

    @abstractmethod
    def extract(self, text: str, options: list[str]) -> str | None:
        """The letter that a response gives."""

    @abstractmethod
    def respond(self, answer: str) -> str:
        """The benchmark's own form of an answer."""

    def grade(self, instance: Instance, target: str, text: str) -> Grade:
        """No letter is wrong and unparsed; the part "official random" is what guessing then would earn."""
        options = list(instance.facts["options"])
        answer = self.extract(text, options)
        if answer is None:
            return Grade(0.0, "unparsed", {"official random": 1 / len(options)})
        value = float(answer == target)
        return Grade(value, parts={"official random": value})

    def answers(self, instance: Instance, variant: Variant) -> Sequence[str]:  # noqa: ARG002
        return LETTERS[: len(instance.facts["options"])]

    def gold(self, instance: Instance, variant: Variant) -> str:  # noqa: ARG002
        return self.respond(instance.target)

    def groups(self, instance: Instance, variant: Variant) -> Mapping[str, str]:  # noqa: ARG002
        return {self.group: instance.facts[self.group]}

    def cited_rules(self, instance: Instance, variant: Variant, text: str) -> Sequence[CitedRule]:  # noqa: ARG002
        return ()

    def gold_rules(self, instance: Instance, variant: Variant) -> Sequence[str]:  # noqa: ARG002
        return ()

    def first_error(self, instance: Instance, variant: Variant, text: str) -> str | None:  # noqa: ARG002
        return None
