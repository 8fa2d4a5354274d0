"""MMLU-Pro (Wang et al., NeurIPS 2024): text questions with up to ten options, after five worked examples.

Layout, examples, stop string and extraction of answers are those of the benchmark's own script; only the
introduction differs. If the script finds no answer, it guesses randomly; here the response is wrong.
"""

import re
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from harness.errors import UserError
from harness.general.choice import LETTERS, Choice, check_answer, listing
from harness.general.published import PublishedBenchmark
from harness.general.sources import SourceFiles
from harness.records import Instance, Json, Part
from harness.thoughts import answer_in

INTRODUCTION = (
    "Multiple choice questions about {category} follow, with their answers. Reason step by step and end with "
    '"the answer is (X)", where X is the letter of the right option.\n\n'
)
LEAD = "Answer: Let's think step by step."
# The script stops generation here, because a base model continues with another question. A chat model may
# also repeat the question before it answers.
STOP = "Question:"
# Fills the lists of options in some published files.
NO_OPTION = "N/A"
MAX_SHOTS = 5
# The script reads A to J for every question. A letter without an option is a wrong answer.
MIN_LETTERS = 10


@dataclass(frozen=True, slots=True)
class Question:
    question_id: int | str
    question: str
    options: list[str]
    answer: str
    category: str
    answer_index: int | None = None
    cot_content: str | None = None


def extract_answer(text: str, options: int) -> str | None:
    """The letter in the answer, or None. The script's three steps, but in linear time:

    1. the first "answer is X" or "answer is (X)"
    2. the last "answer: X" on the first line that contains one
    3. the last capital letter that is a word

    The text ends at the first "Question:" that follows an answer of step 1 or 2.
    """
    text = answer_in(text)
    letter = f"[A-{LETTERS[min(max(options, MIN_LETTERS), len(LETTERS)) - 1]}]"
    for part in text.split(STOP):
        if answer := _stated_answer(part, letter):
            return answer
    words = re.findall(rf"\b{letter}\b", text)
    return words[-1] if words else None


def _stated_answer(text: str, letter: str) -> str | None:
    """The letter by step 1 or 2."""
    if first := re.search(rf"answer is \(?({letter})", text):
        return first[1]
    matches = list(re.finditer(rf"[aA]nswer:(?=\s*({letter}))", text))
    if not matches:
        return None
    newline = text.find("\n", matches[0].start())
    return [match[1] for match in matches if newline < 0 or match.start() < newline][-1]


class MmluPro(Choice):
    """Grades the questions of MMLU-Pro."""

    scorer = "mmlu-pro/2"
    group = "category"

    def extract(self, text: str, options: list[str]) -> str | None:
        """The letter of an option. Another letter is none; the script counts it as a wrong answer."""
        letter = extract_answer(text, len(options))
        return letter if letter in list(LETTERS[: len(options)]) else None

    def respond(self, answer: str) -> str:
        return f"The answer is ({answer})."


def convert(files: SourceFiles, options: Mapping[str, str], out: Path) -> tuple[list[Instance], Json]:  # noqa: ARG001
    """The instances of the test split, with worked examples from the validation split."""
    if options["shots"] not in map(str, range(MAX_SHOTS + 1)):
        raise UserError(f"?shots: expected 0..{MAX_SHOTS}, got {options['shots']!r}")
    shots = int(options["shots"])
    examples: dict[str, list[str]] = defaultdict(list)
    for position, _, question in files.rows("validation", Question):
        if len(examples[question.category]) < shots:
            examples[question.category].append(_example(question, position))
    instances = []
    for position, _, question in files.rows("test", Question):
        choices, target = _choices(question, position)
        if shots and not examples.get(question.category):
            raise UserError(
                f"{position}: expected a worked example for category {question.category!r} in "
                "validation.parquet or validation.jsonl beside the test file, got none; or add ?shots=0"
            )
        introduction = INTRODUCTION.format(category=question.category)
        query = f"Question:\n{question.question}\nOptions:\n{listing(choices)}\n{LEAD}"
        instances.append(
            Instance(
                id=str(question.question_id),
                split="test",
                query=(Part("text", introduction + "".join(examples[question.category]) + query),),
                facts={"category": question.category, "options": choices},
                policy_id=None,
                target=target,
            )
        )
    return instances, {}


def _choices(question: Question, position: str) -> tuple[list[str], str]:
    """The options without those that only fill the list, and the letter of the right one among them."""
    check_answer(question.answer, question.options, position)
    index = LETTERS.index(question.answer)
    if question.answer_index not in (None, index):
        raise UserError(
            f"{position}: answer_index: expected {index} for the answer {question.answer}, "
            f"got {question.answer_index}; correct the row"
        )
    if question.options[index] == NO_OPTION:
        raise UserError(
            f"{position}: options: expected options with a text for the answer {question.answer}, "
            f"got {NO_OPTION!r}; correct the row"
        )
    before = [option for option in question.options[:index] if option != NO_OPTION]
    choices = [option for option in question.options if option != NO_OPTION]
    return choices, LETTERS[len(before)]


def _example(question: Question, position: str) -> str:
    """A worked example. Some published files repeat the options in the question and box the answer."""
    options = listing(_choices(question, position)[0])
    text = question.question.removesuffix(options)
    if not question.cot_content:
        raise UserError(f"{position}: cot_content: expected the worked answer of an example, got none")
    worked = question.cot_content.removeprefix("A: ").removeprefix(LEAD.removeprefix("Answer: ")).strip()
    worked = re.sub(r"\\boxed\{([A-Z])\}", r"(\1)", worked)
    return f"Question:\n{text}\nOptions:\n{options}\n{LEAD} {worked}\n\n"


BENCHMARK = PublishedBenchmark(
    family="mmlu-pro",
    hub_id="TIGER-Lab/MMLU-Pro",
    hub_folder="data",
    splits=("test", "validation"),
    options={"shots": str(MAX_SHOTS)},
    version=2,
    convert=convert,
)
