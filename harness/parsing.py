"""Reading a response: <think>...</think> is optional, the last \\boxed{...} after it is the answer."""

from __future__ import annotations

FORMAT = r"Reason inside <think> and </think>, then give the response alone in \boxed{}."
"""How every query asks for its response."""


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
    depth = 1
    for position in range(start, len(answer)):
        depth += {"{": 1, "}": -1}.get(answer[position], 0)
        if depth == 0:
            return answer[start:position].strip()
    return None
