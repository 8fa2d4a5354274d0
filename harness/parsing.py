"""Reading a response: <think>...</think> is optional, the last \\boxed{...} after it is the answer."""

from __future__ import annotations

FORMAT = r"Reason inside <think> and </think>, then give the response alone in \boxed{}."
"""How every query asks for its response."""


def after_thinking(text: str) -> str:
    """What follows the last </think>; the whole text where there is no think block."""
    return text.rpartition("</think>")[2]


def boxed(text: str) -> str | None:
    """The content of the last \\boxed{...} with balanced braces; None where there is none.

    A think block that was opened and never closed holds no answer.
    """
    if "<think>" in text and "</think>" not in text:
        return None
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
