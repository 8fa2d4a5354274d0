"""One thing to learn from: what is asked, what is answered, and how much each word of the answer matters."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any, Literal

from training.base.data.image_pool import HEIGHT, SIDE, WIDTH
from training.base.model.checkpoint import MERGE, PATCH
from training.base.model.tokenizer import SYSTEM


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of the pool."""

    kind: Literal["scene", "crop"]
    index: int
    mirrored: bool = False

    @property
    def tokens(self) -> int:
        """How many image tokens it becomes."""
        area = WIDTH * HEIGHT if self.kind == "scene" else SIDE * SIDE
        return area // (PATCH * MERGE) ** 2


@dataclass(frozen=True, slots=True)
class Example:
    """A question, of texts and pictures, and its answer."""

    question: tuple[str | Picture, ...]
    answer: str
    given: re.Pattern[str] | None = None
    """What of the answer nobody could know, and is therefore not learned."""

    @property
    def pictures(self) -> list[Picture]:
        return [part for part in self.question if isinstance(part, Picture)]


EMPHASIS = (
    # What is copied from the policy, what is found in the scene, and the verdict that both make: few tokens,
    # on which everything hangs. The rest of an answer is form, and soon known.
    (re.compile(r"\? (Yes,|No, none)"), 4.0),
    (re.compile(r"\? Yes, an? (\w+ \w+ \w+ \w+)"), 2.0),
    (re.compile(r"Is there an? (\w+)"), 4.0),
    (re.compile(r"picture shows the (\w+ \w+)"), 4.0),
    (re.compile(r"(?:Go to Condition|Case) ([\d.]*\d)"), 3.0),
    (re.compile(r"Condition [\d.]+: (\w+; \w+; \w+ [\d.]+; \w+ [\d.]+)\."), 3.0),
    (re.compile(r"boxed\{([^}]+)\}"), 2.0),
)
"""Patterns of an answer, and the weight of the loss on the tokens of their group; 1 elsewhere."""


@dataclass(frozen=True, slots=True)
class Encoded:
    """An example as tokens."""

    ids: list[int]
    weights: list[float]
    """Of the loss on each token; 0 in a question."""
    pictures: list[Picture]


class Encoder:
    """Examples to tokens, in the chat format that a harness's prompt has."""

    def __init__(self, tokenizer: Any) -> None:
        # transformers' wrapper costs more than the encoding itself.
        self.backend = tokenizer.backend_tokenizer
        self.pad = int(tokenizer.pad_token_id)

    def question(self, example: Example) -> Encoded:
        """A question alone, to be answered."""
        ids = self.backend.encode(prompt(example), add_special_tokens=False).ids
        return Encoded(ids, [0.0] * len(ids), example.pictures)

    def __call__(self, example: Example) -> Encoded:
        question = self.question(example)
        answer = self.backend.encode(f"{example.answer}<|im_end|>", add_special_tokens=False)
        weights = [1.0] * len(answer.ids)
        for pattern, weight in EMPHASIS:
            for match in pattern.finditer(example.answer):
                for place in _within(match.span(1), answer.offsets):
                    weights[place] = max(weight, weights[place])
        for match in example.given.finditer(example.answer) if example.given else ():
            for place in _within(match.span(), answer.offsets):
                weights[place] = 0.0
        return Encoded(question.ids + answer.ids, question.weights + weights, example.pictures)


def _within(span: tuple[int, int], offsets: list[tuple[int, int]]) -> list[int]:
    """The tokens that have a character of the span."""
    start, end = span
    return [place for place, (first, last) in enumerate(offsets) if first < end and last > start]


def prompt(example: Example) -> str:
    """What the chat template makes of a question, each image token written out."""
    said = "".join(
        part if isinstance(part, str) else f"<|vision_start|>{'<|image_pad|>' * part.tokens}<|vision_end|>"
        for part in example.question
    )
    return (
        f"<|im_start|>system\n{SYSTEM}<|im_end|>\n<|im_start|>user\n{said}<|im_end|>\n<|im_start|>assistant\n"
    )
