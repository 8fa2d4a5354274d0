"""MMMU-Pro (Yue et al., ACL 2025): questions with pictures, in three settings, test only.

Standard with 4 options, standard with 10 (really 2 to 12), and vision, where the question is a screenshot.
The published headline is the mean of HEADLINE. Order of parts, options, answer form and extraction are those
of the benchmark's own scripts, the instruction's words are ours. What the scripts guess at random is wrong.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.files import store
from harness.general.choice import LETTERS, Choice, check_answer, listing
from harness.general.published import General
from harness.general.sources import Picture, Published, png
from harness.parsing import after_thinking
from harness.records import Instance, Json, Part

HEADLINE = ("mmmu-pro-standard10", "mmmu-pro-vision")
SKIPPED = "validation_Accounting_29"
"""Its options are a list in a list in published outputs, so that it cannot be scored like the others."""
LAST_LINE = "End with a line of the form 'Answer: X', where X is the letter of the option."
INSTRUCTIONS = {
    ("cot", "standard"): f"Answer the multiple choice question above. Think step by step first. {LAST_LINE}",
    ("cot", "vision"): "Write down the multiple choice question that the picture shows, then solve it. "
    f"Think step by step first. {LAST_LINE}",
    ("direct", "standard"): "Answer with nothing but the letter of the right option.",
    (
        "direct",
        "vision",
    ): f"Answer the multiple choice question in the picture at once. {LAST_LINE}",
}
FEW_WORDS = 5
"""Up to so many words a response is not searched for an option's text."""


@dataclass(frozen=True, slots=True)
class Question:
    """A row; standard ones have a question and numbered images, vision ones a single image."""

    id: str
    options: list[Any] | str
    answer: str
    subject: str
    question: str | None = None
    image: Picture | str | None = None
    image_1: Picture | str | None = None
    image_2: Picture | str | None = None
    image_3: Picture | str | None = None
    image_4: Picture | str | None = None
    image_5: Picture | str | None = None
    image_6: Picture | str | None = None
    image_7: Picture | str | None = None


def extract_answer(text: str, options: list[str]) -> str | None:
    """The letter that a response gives, as the scripts find it, in linear time; None where they would guess.

    Behind the last "Answer:" a letter, if exactly one occurs; otherwise the latest "(X)", else "X ", else
    "X.", else of a longer response the latest option's text. A think block is no part of the response.
    """
    text = after_thinking(text)
    letters = LETTERS[: len(options)]
    _, found, last = text.rpartition("Answer:")
    if found and len(single := [letter for letter in letters if letter in last]) == 1:
        return single[0]
    for sign in ",.!?;:'":
        text = text.strip(sign)
    text = f" {text} "
    for form, place in (("({})", "({})"), ("{} ", " {} "), ("{}.", " {} ")):
        if given := [letter for letter in letters if form.format(letter) in text]:
            return max(given, key=lambda letter: text.rfind(place.format(letter)))
    if len(text.split()) <= FEW_WORDS:
        return None
    # Searched backwards: str.find is linear in the text, str.rfind is not.
    backwards = text.lower()[::-1]
    gaps = {x: backwards.find(o.lower()[::-1]) + len(o) for x, o in zip(letters, options, strict=False)}
    named = [x for x, o in zip(letters, options, strict=False) if gaps[x] >= len(o)]
    return min(named, key=lambda letter: gaps[letter], default=None)


class MmmuPro(Choice):
    """The family of its questions."""

    scorer = "mmmu-pro/1"
    group = "subject"

    def extract(self, text: str, options: list[str]) -> str | None:
        return extract_answer(text, options)

    def respond(self, answer: str) -> str:
        return f"Answer: {answer}"


def convert(
    setting: str, published: Published, options: Mapping[str, str], out: Path
) -> tuple[list[Instance], Json]:
    try:
        instruction = INSTRUCTIONS[options["prompt"], setting]
    except KeyError:
        raise UserError(f"prompt: expected cot or direct, got {options['prompt']!r}") from None
    instances: list[Instance] = []
    skipped = []
    for where, file, question in published.rows("test", Question):
        if question.id == SKIPPED:
            skipped.append(question.id)
            continue
        offered = _options(question, where)
        check_answer(question.answer, offered, where)
        if setting == "vision":
            text, shown = instruction, ["image"]
        else:
            if question.question is None:
                raise UserError(f"{where}: Object missing required field `question`")
            text = f"{question.question}\n{listing(offered)}\n{instruction}"
            shown = [f"image_{number}" for number in re.findall(r"<image (\d+)>", text)]
        names = {name: f"images/{len(instances):06d}-{name}.png" for name in shown}
        for name, path in names.items():
            _write(question, name, out / path, file, where)
        instances.append(
            Instance(
                id=question.id,
                split="test",
                query=(Part("text", text), *(Part("image", names[name]) for name in shown)),
                facts={"subject": question.subject, "options": offered},
                policy_id=None,
                target=question.answer,
            )
        )
    return instances, {"skipped": skipped}


def _options(question: Question, where: str) -> list[str]:
    """The hub's files hold the list as Python would print it."""
    offered: Any = question.options
    if isinstance(offered, str):
        try:
            offered = ast.literal_eval(offered)
        except (ValueError, SyntaxError, MemoryError, RecursionError):
            offered = None
    if not isinstance(offered, list) or not all(isinstance(option, str) for option in offered):
        raise UserError(f"{where}: options: expected a list of texts, got {question.options!r}")
    return offered


def _write(question: Question, name: str, path: Path, file: Path, where: str) -> None:
    picture: Picture | str | None = getattr(question, name, None)
    if picture is None:
        raise UserError(f"{where}: question {question.id!r} shows {name}, expected that image, got none")
    path.parent.mkdir(exist_ok=True)
    store.write(path, png(picture, file, where))


def _setting(folder: str, setting: str) -> General:
    return General(
        family="mmmu-pro",
        hub="MMMU/MMMU_Pro",
        folder=folder,
        splits=("test",),
        options={"prompt": "cot"},
        version=1,
        convert=partial(convert, setting),
    )


STANDARD4 = _setting("standard (4 options)", "standard")
STANDARD10 = _setting("standard (10 options)", "standard")
VISION = _setting("vision", "vision")
