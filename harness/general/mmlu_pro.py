"""MMLU-Pro (Wang et al., NeurIPS 2024): text questions with up to ten options, after five worked examples.

Layout, examples, stop and extraction are those of the benchmark's own script; the sentence above the examples
is ours. What the script guesses at random where it finds no answer is wrong here.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UserError
from harness.general.choice import LETTERS, Choice, check_answer, listing
from harness.general.published import General
from harness.general.sources import Published
from harness.parsing import after_thinking
from harness.records import Instance, Json, Part

INTRODUCTION = (
    "Multiple choice questions about {category} follow, with their answers. Reason step by step and end with "
    '"the answer is (X)", where X is the letter of the right option.\n\n'
)
LEAD = "Answer: Let's think step by step."
STOP = "Question:"
"""Where the script stops generation: a base model goes on with a question of its own."""
NO_OPTION = "N/A"
"""Fills up the lists of options in some published files."""
MOST_SHOTS = 5
FEWEST_LETTERS = 10
"""The script reads A to J whatever a question offers; a letter that it does not offer is a wrong answer."""


@dataclass(frozen=True, slots=True)
class Question:
    question_id: int | str
    question: str
    options: list[str]
    answer: str
    category: str
    cot_content: str | None = None


def extract_answer(text: str, options: int) -> str | None:
    """The letter that a response gives, by the script's three steps in linear time; None where there is none.

    The first "answer is X"; else of the first line with "answer: X" the last one; else the last capital that
    stands alone. A think block is no part of the response.
    """
    text = after_thinking(text)
    letter = f"[A-{LETTERS[min(max(options, FEWEST_LETTERS), len(LETTERS)) - 1]}]"
    if first := re.search(rf"answer is \(?({letter})", text):
        return first[1]
    answer = None
    end = len(text)
    for found in re.finditer(rf"[aA]nswer:(?=\s*({letter}))", text):
        if found.start() > end:
            break
        if answer is None and (newline := text.find("\n", found.start())) >= 0:
            end = newline
        answer = found[1]
    if answer is None:
        for found in re.finditer(rf"\b{letter}\b", text):
            answer = found[0]
    return answer


class MmluPro(Choice):
    """The family of its questions."""

    scorer = "mmlu-pro/1"
    group = "category"

    def extract(self, text: str, options: list[str]) -> str | None:
        return extract_answer(after_thinking(text).partition(STOP)[0], len(options))

    def respond(self, answer: str) -> str:
        return f"The answer is ({answer})."


def convert(published: Published, options: Mapping[str, str], out: Path) -> tuple[list[Instance], Json]:  # noqa: ARG001
    shots = _shots(options["shots"])
    examples: dict[str, list[str]] = defaultdict(list)
    for where, _, question in published.rows("validation", Question):
        if len(examples[question.category]) < shots:
            examples[question.category].append(_example(question, where))
    instances = []
    for where, _, question in published.rows("test", Question):
        offered = _offered(question, where)
        if shots and not examples.get(question.category):
            raise UserError(
                f"{where}: no worked example for category {question.category!r}; expected some in "
                "validation.parquet or validation.jsonl beside the test file, or ?shots=0 behind the source"
            )
        introduction = INTRODUCTION.format(category=question.category)
        asked = f"Question:\n{question.question}\nOptions:\n{listing(offered)}\n{LEAD}"
        instances.append(
            Instance(
                id=str(question.question_id),
                split="test",
                query=(Part("text", introduction + "".join(examples[question.category]) + asked),),
                facts={"category": question.category, "options": offered},
                policy_id=None,
                target=question.answer,
            )
        )
    return instances, {}


def _shots(text: str) -> int:
    if text not in map(str, range(MOST_SHOTS + 1)):
        raise UserError(f"shots: expected 0..{MOST_SHOTS}, got {text!r}")
    return int(text)


def _offered(question: Question, where: str) -> Sequence[str]:
    offered = [option for option in question.options if option != NO_OPTION]
    check_answer(question.answer, offered, where)
    return offered


def _example(question: Question, where: str) -> str:
    """A worked example, also out of files that repeat the options in the question and box the answer."""
    options = listing(_offered(question, where))
    asked = question.question.removesuffix(options)
    if not question.cot_content:
        raise UserError(f"{where}: cot_content: expected the worked answer of an example, got none")
    worked = question.cot_content.removeprefix("A: ").removeprefix(LEAD.removeprefix("Answer: ")).strip()
    worked = re.sub(r"\\boxed\{([A-Z])\}", r"(\1)", worked)
    return f"Question:\n{asked}\nOptions:\n{options}\n{LEAD} {worked}\n\n"


BENCHMARK = General(
    family="mmlu-pro",
    hub="TIGER-Lab/MMLU-Pro",
    folder="data",
    splits=("test", "validation"),
    options={"shots": str(MOST_SHOTS)},
    version=1,
    convert=convert,
)
