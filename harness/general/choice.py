"""The base class of multiple choice benchmarks: families without policies, whose answers are letters."""

import string
from abc import abstractmethod
from collections.abc import Mapping, Sequence
from typing import ClassVar

from harness.errors import UserError
from harness.family import Family
from harness.records import Grade, Instance
from harness.variants import Variant

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


class Choice(Family):
    """Grades the letter that a response gives. The facts of an instance contain the texts of its options."""

    # The fact by which the report splits the scores.
    group: ClassVar[str]

    @abstractmethod
    def extract(self, text: str, options: list[str]) -> str | None:
        """The letter that a response gives; None if it gives none."""

    def grade(self, instance: Instance, target: str, text: str) -> Grade:
        """1 for the correct letter. A response without a letter is wrong and unparsed.

        The part "official random" is the expected grade if such a response were replaced by a random guess,
        as the benchmarks' own scripts do.
        """
        options = list(instance.facts["options"])
        answer = self.extract(text, options)
        if answer is None:
            return Grade(0.0, "unparsed", {"official random": 1 / len(options)})
        value = float(answer == target)
        return Grade(value, parts={"official random": value})

    def answers(self, instance: Instance, variant: Variant) -> Sequence[str]:
        return LETTERS[: len(instance.facts["options"])]

    def groups(self, instance: Instance, variant: Variant) -> Mapping[str, str]:
        return {self.group: instance.facts[self.group]}
