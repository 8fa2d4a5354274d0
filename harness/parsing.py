r"""Parses responses: an optional <think>...</think>, then the answer in the last \boxed{...}."""

import re

# Part of every query. Changing it changes the digest of every benchmark.
FORMAT = r"Reason inside <think> and </think>, then give the response alone in \boxed{}."
# \text{, \mathrm{, \textbf{, ...
_COMMAND = re.compile(r"\\(?:text|math)(?:rm|bf|it|tt)?\{")
# The same mark on both sides: **bold**, "quoted", 'quoted', `code`.
_MARKS = re.compile(r"(\*\*|[\"'`])(.+)\1", re.DOTALL)
# A Markdown code block, with or without a language.
_FENCE = re.compile(r"```(?:json\b|\w*\n)?(.+)```", re.DOTALL)
# Limits the time for an answer with thousands of nested wrappers.
_MAX_WRAPPERS = 6


def after_thinking(text: str) -> str:
    """The text after the last </think>, or all of it without a think block; "" if the block is not closed."""
    _, end_tag, answer = text.rpartition("</think>")
    return "" if not end_tag and "<think>" in text else answer


def in_box(answer: str) -> str:
    r"""The answer inside \boxed{}, as a response gives it."""
    return rf"\boxed{{{answer}}}"


def boxed(text: str) -> str | None:
    r"""The content of the last \boxed{...} after thinking; None without a box or its closing brace."""
    answer = after_thinking(text)
    start = answer.rfind(r"\boxed{")
    if start < 0:
        return None
    start += len(r"\boxed{")
    end = _closing_brace(answer, start)
    return None if end is None else answer[start:end].strip()


def unwrapped(answer: str) -> str:
    r"""The answer without wrappers around all of it, and without a final full stop.

    Wrappers are \text{...} and similar LaTeX commands, **bold**, quotes, backticks and code blocks.
    """
    for _ in range(_MAX_WRAPPERS):
        answer = answer.strip().removesuffix(".")
        command = _COMMAND.match(answer)
        if command and _closing_brace(answer, command.end()) == len(answer) - 1:
            answer = answer[command.end() : -1]
        elif match := _FENCE.fullmatch(answer):
            answer = match[1]
        elif match := _MARKS.fullmatch(answer):
            answer = match[2]
        else:
            break
    return answer.strip()


def plain(answer: str) -> str:
    """The answer without wrappers, in lower case and with single spaces, for comparisons."""
    return " ".join(unwrapped(answer).split()).casefold()


def _closing_brace(text: str, start: int) -> int | None:
    """The index of the brace that closes the one opened before `start`; None if it is not closed."""
    depth = 1
    for position in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[position], 0)
        if depth == 0:
            return position
    return None
