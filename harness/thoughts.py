"""Where a response stops thinking and starts answering, for the marks of all known model families.

    <think> It has two cubes. </think> \\boxed{Case 1}        the answer follows the closing mark
    It has two cubes. </think> \\boxed{Case 1}                the template of the prompt opened the block
    <think> It has two cubes. Perhaps \\boxed{Case 1}, but    cut off in the thought: no answer
    <think> a </think> \\boxed{Case 1} <think> Let me         cut off in a second thought: the answer counts

To support another family of models, add its marks to `_KINDS`.
"""

import re
from collections.abc import Iterator
from typing import NamedTuple

# Blocks in XML style, such as <think>, <Thinking>, <seed:think>, <longcat_think> and <think_fast>.
_NAMES = "think thinking thought thoughts reasoning scratchpad".split()
_XML = r"(?:\w{1,20}[:_])?%s(?:_\w{1,20})?\s*>"

# Of each kind of block, the regular expressions of its opening and closing mark. Case does not matter.
_KINDS: tuple[tuple[str, str], ...] = (
    *((f"<{_XML % name}", f"</{_XML % name}") for name in _NAMES),
    (r"\[THINK\]", r"\[/THINK\]"),
    ("◁think▷", "◁/think▷"),
    (r"<\|think(?:ing)?\|>", r"<\|/think(?:ing)?\|>|<\|content\|>"),
    (r"<\|begin_of_thought\|>", r"<\|end_of_thought\|>"),
    (r"<\|START_THINKING\|>", r"<\|END_THINKING\|>(?:\s*<\|START_RESPONSE\|>)?"),
    (r"<\|inner_prefix\|>", r"<\|inner_suffix\|>"),
    (r"<unused94>thought\b", "<unused95>"),
    (r"<\|channel>thought\b", r"<channel\|>"),
    # Channels, and what remains of them if a server has removed the special tokens.
    (
        r"<\|channel\|>(?:analysis|commentary)\b[^|]*(?:<\|constrain\|>[^|]*)?<\|message\|>"
        r"|\Aanalysis(?-i:(?=[A-Z]))",
        r"<\|channel\|>final\b[^|]*(?:<\|constrain\|>[^|]*)?<\|message\|>|(?-i:assistantfinal)",
    ),
    # Sentences instead of marks. The openings are not listed, because other models begin an answer with them.
    (r"(?!)", r"Here(?: is|'s) my response:|\[BEGIN FINAL RESPONSE\]"),
)
# The beginning is checked first, which makes the search several times as fast.
_BEGINNING = r"(?=[<\[◁]|analysis|assistant|here)"
_ANY = "|".join(f"({opening})|({closing})" for opening, closing in _KINDS)
_MARK = re.compile(f"{_BEGINNING}(?:{_ANY})", re.IGNORECASE)
_OPEN_AT_END = re.compile("(?:" + "|".join(opening for opening, _ in _KINDS) + r")\s*\Z", re.IGNORECASE)


class Mark(NamedTuple):
    """A mark in a text, from index `start` to `end`."""

    # The index of its kind of block.
    kind: int
    opens: bool
    start: int
    end: int


def marks(text: str) -> Iterator[Mark]:
    """Every mark in the text, in order."""
    for match in _MARK.finditer(text):
        group = match.lastindex or 1
        yield Mark((group - 1) // 2, group % 2 == 1, *match.span())


def answer_in(text: str) -> str:
    """The text between the last complete thought and a thought that was cut off; all of it without marks.

    A closing mark alone ends a thought that the prompt opened. A mark of another kind inside a block is part
    of the thought.
    """
    start, end, open_kind = 0, len(text), None
    for mark in marks(text):
        if open_kind is None and mark.opens:
            end, open_kind = mark.start, mark.kind
        elif not mark.opens and open_kind in (None, mark.kind):
            start, end, open_kind = mark.end, len(text), None
    return text[start:end]


def opened_by(prompt: str) -> str:
    """The end of a rendered prompt from an opening mark on, such as "<think>\\n"; "" if it opens no thought.

    A response to such a prompt continues the thought, so a backend puts these characters before its text.
    """
    match = _OPEN_AT_END.search(prompt)
    return match[0] if match else ""
