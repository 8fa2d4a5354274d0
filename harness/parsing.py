"""Reading a response: <think>...</think> is optional, the last \\boxed{...} after it is the answer."""

from __future__ import annotations

import re

FORMAT = r"Reason inside <think> and </think>, then give the response alone in \boxed{}."
"""How every query asks for its response."""
_COMMAND = re.compile(r"\\(?:text|math)(?:rm|bf|it|tt)?\{")
_MARKS = re.compile(r"(\*\*|[\"'`])(.+)\1", re.DOTALL)
_FENCE = re.compile(r"```(?:json\b|\w*\n)?(.+)```", re.DOTALL)
_DEEPEST = 6
"""Wrappings within one another that are taken off; bounded, so that no answer costs more than a moment."""


def after_thinking(text: str) -> str:
    """What follows the last </think>; the whole text where there is no think block.

    Nothing follows a think block that was opened and never closed.
    """
    _, closed, answer = text.rpartition("</think>")
    return "" if not closed and "<think>" in text else answer


def in_box(answer: str) -> str:
    """An answer as a response gives it."""
    return rf"\boxed{{{answer}}}"


def boxed(text: str) -> str | None:
    """The content of the last \\boxed{...} with balanced braces; None where there is none."""
    answer = after_thinking(text)
    start = answer.rfind(r"\boxed{")
    if start < 0:
        return None
    start += len(r"\boxed{")
    end = _closing(answer, start)
    return None if end is None else answer[start:end].strip()


def unwrapped(answer: str) -> str:
    """An answer without what LaTeX and Markdown put around all of it, and without a final full stop.

    That is \\text{...} and its like, **bold**, quotes, backticks and fences; nothing else is forgiven.
    """
    for _ in range(_DEEPEST):
        answer = answer.strip().removesuffix(".")
        command = _COMMAND.match(answer)
        if command and _closing(answer, command.end()) == len(answer) - 1:
            answer = answer[command.end() : -1]
        elif found := _FENCE.fullmatch(answer):
            answer = found[1]
        elif found := _MARKS.fullmatch(answer):
            answer = found[2]
        else:
            break
    return answer.strip()


def plain(answer: str) -> str:
    """An answer as it is compared where case, blanks and wrappings do not matter."""
    return " ".join(unwrapped(answer).split()).casefold()


def _closing(text: str, start: int) -> int | None:
    """Where the brace ends that was opened before start; None where it does not."""
    depth = 1
    for position in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return position
    return None
