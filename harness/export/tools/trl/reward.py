"""Rewards for TRL's GRPOTrainer, which passes the columns. The weights of `trimpi train` are 0.9 and 0.1."""

from typing import Any

import harness
from harness.parsing import has_format


def accuracy(completions: list[Any], answer_key: list[str], **_: Any) -> list[float | None]:
    """The grade of each completion, from 0 to 1; None if it cannot be graded."""
    texts = map(_text, completions)
    return [harness.grade(key, text).value for key, text in zip(answer_key, texts, strict=True)]


def format(completions: list[Any], **_: Any) -> list[float]:
    """1 for <think>...</think> and then a box."""
    return [float(has_format(_text(completion))) for completion in completions]


def _text(completion: Any) -> str:
    return str(completion[0]["content"])
