"""MMMU-Pro (Yue et al., ACL 2025): questions with images, in three settings, with a test split only.

The settings are standard with 4 options, standard with 10 options (in fact 2 to 12), and vision, where the
question is a screenshot. Options and extraction of answers are those of the benchmark's own scripts. The
instructions differ, and each image has its name in front of it, because the scripts lose track of images that
a question does not name in order. If the scripts find no answer, they guess randomly; here the response is
wrong.
"""

import ast
import re
import sys
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from harness import images
from harness.errors import UserError
from harness.files import store
from harness.general.choice import LETTERS, Choice, check_answer, listing
from harness.general.published import PublishedBenchmark
from harness.general.sources import SourceFiles, SourceImage, image_data
from harness.records import Instance, Json, Part
from harness.thoughts import answer_in

# The published score is the mean of these two.
HEADLINE = ("mmmu-pro-standard10", "mmmu-pro-vision")
# Its options are a nested list in published outputs, so it cannot be scored like the others.
SKIPPED = "validation_Accounting_29"
LAST_LINE = "End with a line of the form 'Answer: X', where X is the letter of the option."
INSTRUCTIONS = {
    ("cot", "standard"): f"Answer the multiple choice question above. Think step by step first. {LAST_LINE}",
    ("cot", "vision"): "Write down the multiple choice question that the picture shows, then solve it. "
    f"Think step by step first. {LAST_LINE}",
    ("direct", "standard"): "Answer with nothing but the letter of the right option.",
    ("direct", "vision"): f"Answer the multiple choice question in the picture at once. {LAST_LINE}",
}
# A response with at most this many words is not searched for the text of an option.
FEW_WORDS = 5


@dataclass(frozen=True, slots=True)
class Question:
    """A row. In the standard settings it has a question and numbered images, in vision a single image."""

    id: str
    options: list[Any] | str
    answer: str
    subject: str
    question: str | None = None
    image: SourceImage | str | None = None
    image_1: SourceImage | str | None = None
    image_2: SourceImage | str | None = None
    image_3: SourceImage | str | None = None
    image_4: SourceImage | str | None = None
    image_5: SourceImage | str | None = None
    image_6: SourceImage | str | None = None
    image_7: SourceImage | str | None = None


def extract_answer(text: str, options: list[str]) -> str | None:
    """The letter after the thought, or None if the scripts would guess. Their steps, but in linear time:

    1. the letter after the last "Answer:", if exactly one letter occurs there
    2. the last "(X)"; if there is none, the last "X "; if there is none, the last "X."
    3. in a response of more than FEW_WORDS words, the option whose text occurs last
    """
    text = answer_in(text)
    letters = LETTERS[: len(options)]
    _, marker, last = text.rpartition("Answer:")
    if marker and len(single := [letter for letter in letters if letter in last]) == 1:
        return single[0]
    for punctuation in ",.!?;:'":
        text = text.strip(punctuation)
    text = f" {text} "
    # The scripts look for the third form, but compare positions of the second.
    for form, position_form in (("({})", "({})"), ("{} ", " {} "), ("{}.", " {} ")):
        if candidates := [letter for letter in letters if form.format(letter) in text]:
            return max(candidates, key=lambda letter: text.rfind(position_form.format(letter)))
    if len(text.split()) <= FEW_WORDS:
        return None
    # Reversed, because str.find takes linear time and str.rfind does not.
    backwards = text.lower()[::-1]
    by_letter = dict(zip(letters, options, strict=False))
    # Characters from the start of an option's last occurrence to the end of the text.
    distances = {letter: backwards.find(o.lower()[::-1]) + len(o) for letter, o in by_letter.items()}
    occurring = [letter for letter, o in by_letter.items() if distances[letter] >= len(o)]
    return min(occurring, key=lambda letter: distances[letter], default=None)


class MmmuPro(Choice):
    """Grades the questions of MMMU-Pro."""

    scorer = "mmmu-pro/2"
    group = "subject"

    def extract(self, text: str, options: list[str]) -> str | None:
        return extract_answer(text, options)

    def respond(self, answer: str) -> str:
        return f"Answer: {answer}"


def convert(
    setting: str, files: SourceFiles, options: Mapping[str, str], out: Path
) -> tuple[list[Instance], Json]:
    """The instances of the test split; writes their images. Setting is "standard" or "vision"."""
    try:
        instruction = INSTRUCTIONS[options["prompt"], setting]
    except KeyError:
        raise UserError(f"?prompt: expected cot or direct, got {options['prompt']!r}") from None
    instances: list[Instance] = []
    skipped = []
    # Which images are stored in another way than in the source, by reason.
    changes: dict[str, list[str]] = defaultdict(list)
    for position, file, question in files.rows("test", Question):
        if question.id == SKIPPED:
            skipped.append(question.id)
            continue
        choices = _choices(question, position)
        check_answer(question.answer, choices, position)
        if setting == "vision":
            layout = [Part("text", instruction), Part("image", "image")]
        elif question.question is None:
            raise UserError(f"{position}: Object missing required field `question`")
        else:
            layout = _layout(f"{question.question}\n{listing(choices)}\n{instruction}")
        query = []
        for part in layout:
            if part.kind == "image":
                data = _image_data(question, part.value, file, position)
                path = f"images/{len(instances):06d}-{part.value}"
                path, change = _store(out, path, data, f"{position}: {part.value}")
                changes[change].append(f"{position}: {part.value}")
                part = Part("image", path)
            query.append(part)
        instances.append(
            Instance(
                id=question.id,
                split="test",
                query=tuple(query),
                facts={"subject": question.subject, "options": choices},
                policy_id=None,
                target=question.answer,
            )
        )
    for change, names in changes.items():
        if change:
            print(f"images that {change}: {len(names)}, such as {names[0]}", file=sys.stderr)
    return instances, {"skipped": skipped}


def _layout(text: str) -> list[Part]:
    """The text, then each image that it names, once, in the order of the numbers and after its name.

    The value of an image is its column.
    """
    numbers = sorted(set(re.findall(r"<image (\d+)>", text)), key=int)
    named = [(Part("text", f"\n<image {n}>"), Part("image", f"image_{n}")) for n in numbers]
    return [Part("text", text), *chain.from_iterable(named)]


def _image_data(question: Question, column: str, file: Path, position: str) -> bytes:
    image: SourceImage | str | None = getattr(question, column, None)
    if image is None:
        raise UserError(f"{position}: question {question.id!r} shows {column}, expected that image")
    return image_data(image, file, position)


def _store(out: Path, path: str, data: bytes, source: str) -> tuple[str, str]:
    """Writes an image. Its path, which ends in a suffix of its content, and what was changed.

    An image that cannot be read is written as it is: its question will count as failed.
    """
    change, written = "", data
    try:
        path, written = images.stored(data, path, source)
    except UserError:
        path, change = f"{path}.png", "cannot be read, so their questions will fail"
    (out / path).parent.mkdir(exist_ok=True)
    store.write(out / path, written)
    return path, "were converted to PNG" if written != data else change


def _choices(question: Question, position: str) -> list[str]:
    """The options. The files on the hub contain the list as Python prints it."""
    choices: Any = question.options
    if isinstance(choices, str):
        try:
            choices = ast.literal_eval(choices)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            choices = None
    if not isinstance(choices, list) or not all(isinstance(choice, str) for choice in choices):
        raise UserError(f"{position}: options: expected a list of texts, got {question.options!r}")
    return choices


def _setting(hub_folder: str, setting: str) -> PublishedBenchmark:
    return PublishedBenchmark(
        family="mmmu-pro",
        hub_id="MMMU/MMMU_Pro",
        hub_folder=hub_folder,
        splits=("test",),
        options={"prompt": "cot"},
        version=2,
        convert=partial(convert, setting),
    )


STANDARD4 = _setting("standard (4 options)", "standard")
STANDARD10 = _setting("standard (10 options)", "standard")
VISION = _setting("vision", "vision")
