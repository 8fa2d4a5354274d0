"""A training example: a question, its answer, and the weight of the loss on each token of the answer."""

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import takewhile
from typing import Any, Literal, TypeVar

from training.base.data.image_pool import CROP_SIDE, SCENE_HEIGHT, SCENE_WIDTH
from training.base.model.checkpoint import TOKEN_SIDE

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of the image pool, by its index."""

    kind: Literal["scene", "crop"]
    index: int
    mirrored: bool = False

    @property
    def placeholder(self) -> str:
        """The text that represents the picture in a prompt, with a token for each 28 x 28 pixels."""
        area = SCENE_WIDTH * SCENE_HEIGHT if self.kind == "scene" else CROP_SIDE**2
        return f"<|vision_start|>{'<|image_pad|>' * (area // TOKEN_SIDE**2)}<|vision_end|>"


@dataclass(frozen=True, slots=True)
class Example:
    """A question that consists of texts and pictures, and its answer."""

    question: tuple[str | Picture, ...]
    answer: str
    # Matches the parts of the answer that cannot be predicted from the question. They get no loss.
    unpredictable: re.Pattern[str] | None = None
    # Further questions that begin with the same policy, to be learned in the same sequence.
    more: tuple["Example", ...] = ()

    @property
    def pictures(self) -> list[Picture]:
        return [part for part in self.question if isinstance(part, Picture)]


# Patterns of an answer, and the loss weight of the tokens in their first group. Other tokens have weight 1.
# Heavy tokens are copied from the policy, found in the scene, or decided from both: they are few, and
# everything depends on them. The rest of an answer is a fixed form that is learned quickly.
LOSS_WEIGHTS = (
    (re.compile(r"\? (Yes,|No, none)"), 4.0),
    (re.compile(r"\? Yes, an? (\w+ \w+ \w+ \w+)"), 2.0),
    (re.compile(r"Is there an? (\w+)"), 4.0),
    (re.compile(r"picture shows the (\w+ \w+)"), 4.0),
    (re.compile(r"(?:Go to Condition|Case) ([\d.]*\d)"), 3.0),
    (re.compile(r"Condition [\d.]+: (\w+; \w+; \w+ [\d.]+; \w+ [\d.]+)\."), 3.0),
    (re.compile(r"boxed\{([^}]+)\}"), 2.0),
)


@dataclass(frozen=True, slots=True)
class TokenSequence:
    """An example as tokens."""

    ids: list[int]
    weights: list[float]  # of the loss; 0 in the question
    pictures: list[Picture]
    # For each token the question that it belongs to, from 1, and 0 for the policy that they share
    # (model/branches.py). Zeros if there is only one question.
    questions: list[int]


class ExampleEncoder:
    """Converts examples to tokens, in the same chat format as the harness's prompts."""

    def __init__(self, tokenizer: Any) -> None:
        # The transformers wrapper takes longer than the encoding itself.
        self.backend = tokenizer.backend_tokenizer
        self.pad_id = int(tokenizer.pad_token_id)
        message = {"role": "user", "content": "…"}
        chat = tokenizer.apply_chat_template([message], tokenize=False, add_generation_prompt=True)
        self.before, self.after = chat.split("…")

    def prompt(self, example: Example) -> str:
        """The question in the chat format."""
        parts = [part if isinstance(part, str) else part.placeholder for part in example.question]
        return "".join([self.before, *parts, self.after])

    def question(self, example: Example) -> TokenSequence:
        """Encode the question only, for generating an answer."""
        ids = self.backend.encode(self.prompt(example), add_special_tokens=False).ids
        return TokenSequence(ids, [0.0] * len(ids), example.pictures, [0] * len(ids))

    def __call__(self, example: Example) -> TokenSequence:
        sequence = self._with_answer(example)
        if not example.more:
            return sequence
        others = [self._with_answer(other) for other in example.more]
        policy = _common_start([example.question, *(other.question for other in example.more)])
        start = self.before + "".join(part if isinstance(part, str) else part.placeholder for part in policy)
        # A picture of the scene begins like any other, so only tokens of the policy are compared.
        tokens = self.backend.encode(start, add_special_tokens=False).ids
        shared = len(_common_start([tokens, sequence.ids, *(other.ids for other in others)]))
        pictures = sum(isinstance(part, Picture) for part in policy)
        merged = replace(sequence, questions=[0] * shared + [1] * (len(sequence.ids) - shared))
        for number, other in enumerate(others, 2):
            merged.ids.extend(other.ids[shared:])
            merged.weights.extend(other.weights[shared:])
            merged.pictures.extend(other.pictures[pictures:])
            merged.questions.extend([number] * (len(other.ids) - shared))
        return merged

    def _with_answer(self, example: Example) -> TokenSequence:
        question = self.question(example)
        answer = self.backend.encode(f"{example.answer}<|im_end|>", add_special_tokens=False)
        weights = [1.0] * len(answer.ids)
        for pattern, weight in LOSS_WEIGHTS:
            for match in pattern.finditer(example.answer):
                for index in _overlapping_tokens(match.span(1), answer.offsets):
                    weights[index] = max(weight, weights[index])
        if example.unpredictable:
            for match in example.unpredictable.finditer(example.answer):
                for index in _overlapping_tokens(match.span(), answer.offsets):
                    weights[index] = 0.0
        ids = question.ids + answer.ids
        return TokenSequence(ids, question.weights + weights, example.pictures, [0] * len(ids))


def _common_start(sequences: Sequence[Sequence[T]]) -> Sequence[T]:
    """What all sequences begin with."""
    columns = zip(*sequences, strict=False)
    return [column[0] for column in takewhile(lambda column: len(set(column)) == 1, columns)]


def _overlapping_tokens(span: tuple[int, int], offsets: list[tuple[int, int]]) -> list[int]:
    """Indices of the tokens that contain a character of the span."""
    start, end = span
    return [index for index, (first, last) in enumerate(offsets) if first < end and last > start]
