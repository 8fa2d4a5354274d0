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

from harness.text import matches

# Blocks in XML style: <think>, <Thinking>, <seed:think>, <longcat_think>, <think_fast>, <think budget="3">.
_NAMES = "think thinking thought thoughts reasoning scratchpad".split()
_XML = r"(?:\w{1,20}[:_])?%s(?:[:_]\w{1,20})?(?:\s+\w{1,20}=[^<>]{0,80})?\s*>"
# Blocks of special tokens, such as <|think|>, <|begin_of_thought|>, <|START_THINKING|> and <|think_start|>.
_TOKEN_NAME = "(?:think(?:ing)?|thoughts?|reasoning)"
# Words that mark a thought without brackets. Few texts contain one.
_ANALYSIS, _FINAL, _MY_RESPONSE = "analysis", "assistantfinal", "my response:"

# Of each kind of block, the regular expressions of its opening and closing mark. Case does not matter.
_KINDS: tuple[tuple[str, str], ...] = (
    *((f"<{_XML % name}", f"</{_XML % name}") for name in _NAMES),
    (r"\[THINK\]", r"\[/THINK\]"),
    ("◁think▷", "◁/think▷"),
    (
        rf"<\|(?:(?:begin|start)_(?:of_)?)?{_TOKEN_NAME}(?:_(?:begin|start))?\|>",
        rf"<\|(?:/|end_(?:of_)?){_TOKEN_NAME}\|>(?:\s*<\|START_RESPONSE\|>)?|<\|{_TOKEN_NAME}_end\|>"
        r"|<\|content\|>",
    ),
    (r"<\|im_start\|>think\b", r"<\|im_start\|>answer\b"),
    (r"<\|inner_prefix\|>", r"<\|inner_suffix\|>"),
    (r"<unused94>thought\b", "<unused95>"),
    (r"<\|channel>thought\b", r"<channel\|>"),
    # Channels, and what remains of them if a server has removed the special tokens.
    (
        r"<\|channel\|>(?:analysis|commentary)\b[^|]*(?:<\|constrain\|>[^|]*)?<\|message\|>"
        rf"|\A{_ANALYSIS}(?-i:(?=[A-Z]))",
        rf"<\|channel\|>final\b[^|]*(?:<\|constrain\|>[^|]*)?<\|message\|>|(?-i:{_FINAL})",
    ),
    # Sentences instead of marks. The openings are not listed, because other models begin an answer with them.
    (r"(?!)", rf"Here(?: is|'s) {_MY_RESPONSE}|\[BEGIN FINAL RESPONSE\]"),
)
_MARK = re.compile("|".join(f"({opening})|({closing})" for opening, closing in _KINDS), re.IGNORECASE)
# How a mark begins: with a bracket, or as one of the words.
_BRACKET = re.compile(r"[<\[◁]")
_BRACKET_OR_WORD = re.compile(r"[<\[◁aAhH](?:(?<=[<\[◁])|(?i:(?<=a)nalysis|(?<=a)ssistant|(?<=h)ere))")
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
    folded = text.casefold()
    has_word = folded.startswith(_ANALYSIS) or _FINAL in folded or _MY_RESPONSE in folded
    for match in matches(_BRACKET_OR_WORD if has_word else _BRACKET, _MARK, text):
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


# Between two channels.
_NEXT_CHANNEL = "<|end|><|start|>assistant"
# Closing marks by the beginning of the opening mark, where no rule gives them.
_CLOSING = {
    "<|im_start|>": "<|im_start|>answer",
    "<|inner_prefix|>": "<|inner_suffix|>",
    "<unused94>": "<unused95>",
    "<|channel>": "<channel|>",
    "<|channel|>": f"{_NEXT_CHANNEL}<|channel|>final<|message|>",
}


def closed_by(opened: str) -> str:
    """The mark that closes the block which these characters open: "</think>" for "<think>\\n"."""
    mark = opened.strip()
    for beginning, closing in _CLOSING.items():
        if mark.lower().startswith(beginning):
            return closing
    if not mark.startswith("<|"):
        return f"{mark[0]}/{mark[1:]}"
    ending = re.sub("begin|start", lambda m: "END" if m[0].isupper() else "end", mark, flags=re.IGNORECASE)
    return ending if ending != mark else f"<|/{mark[2:]}"


def as_think_block(text: str) -> str:
    """The text with its first block between <think> and </think>, whichever marks its model uses.

    A closing mark alone ends a thought that the prompt opened. A block that is not closed stays as it is.
    """
    found = list(marks(text))
    if not found:
        return text
    first, opened = found[0], found[0].opens
    closing = next((m for m in found if not m.opens and m.kind == first.kind), None)
    if closing is None:
        return text
    before, start = (text[: first.start], first.end) if opened else ("", 0)
    thought = text[start : closing.start].removesuffix(_NEXT_CHANNEL)
    return f"{before}<think>{thought}</think>{text[closing.end :]}"


def continued(opened: str, response: str) -> str:
    """The rest of a response with <think> and </think>, if the prompt ends with the characters `opened`.

    A response without a thought closes the block that the prompt opened before it answers.
    """
    if not opened:
        return response
    before, mark, rest = response.partition("<think>")
    thought, end, answer = rest.partition("</think>")
    if before.strip() or not mark or not end:
        thought, answer = "\n", f"\n{response}"
    # One line break between the mark and the thought, as if the model had written both.
    thought = thought.lstrip() if opened[-1:].isspace() and thought.strip() else thought
    return f"{thought}{closed_by(opened)}{answer}"
