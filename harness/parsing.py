r"""Parses responses: the answer is the content of the last box after the thought, normally \boxed{...}.

Answers are read as people write them: in LaTeX, Markdown, quotes, brackets or full-width characters. Markup
cannot change which answer is given, so this never rewards a guess. All other text must be equal.
"""

import re
from collections.abc import Iterator
from functools import lru_cache
from typing import NamedTuple

from harness.text import matches, normalized
from harness.thoughts import answer_in

# Part of every query. Changing it changes the digest of every benchmark.
FORMAT = r"Reason inside <think> and </think>, then give the response alone in \boxed{}."
# What a response in this format contains, in this order.
_FORMAT_MARKS = ("<think>", "</think>", r"\boxed{", "}")
# The weight of a reward for the format; the rest is that of the accuracy. The paper does not give its weight.
# This is the default of EasyR1, which the paper very likely used. It is enough to keep the format, and never
# worth as much as a right answer.
FORMAT_WEIGHT = 0.1
# What opens and closes a box. Braces inside a box are counted.
_BOXES = re.compile(
    r"(?P<box>\\(?:boxed|fbox|framebox)\s*\\?\{|<\|begin_of_box\|>)|(?P<brace>\{)|\}|<\|end_of_box\|>"
)
# Tags that count as a box if a response has no box.
_TAGS = re.compile(
    r"(?P<box><(?:answer|response|tool_call)>)|</(?:answer|response|tool_call)>", re.IGNORECASE
)
# How all of them begin.
_BEGINNING = re.compile(r"[\\{}<]")
# LaTeX commands that only change how their argument looks.
_FONTS = (
    "text(?:rm|bf|it|tt|sf|sc|sl|md|up|normal)?|math(?:rm|bf|it|tt|sf|bb|cal|frak|scr|normal)|operatorname"
    "|[mfh]box|boxed|framebox|emph|underline|boldsymbol|bm|pmb|ensuremath"
)
# Around all of an answer: a Markdown code block with or without a language, a LaTeX command, LaTeX formulas.
_WRAPPER = re.compile(
    rf"```(?:json\b|\w*\n)?(.+)```|\\(?:{_FONTS})\*?\s*\{{(.+)\}}|\\\((.+)\\\)|\\\[(.+)\\\]", re.DOTALL
)
# Around all of an answer: brackets, quotes, and the marks of Markdown and of formulas.
_PAIRS = frozenset("() [] <> «» ‹› 【】 〔〕 「」 『』 《》 〈〉 “” „“ ‘’ \"\" '' `` `' ** __ $$".split())
# Limits the time for an answer with thousands of nested wrappers.
_MAX_WRAPPERS = 10
_LATEX = re.compile(
    rf"""
      (?P<line>\\\\(?!(?:{_FONTS})\b))
    | (?P<blank>\\[\s,;:>] | \\(?:q?quad|enspace|thinspace|(?:nobreak)?space)(?![a-zA-Z])
        | \\[hm]space\*?\s*\{{[^{{}}]*\}} | (?<!~)~(?!~) | &nbsp;)
    | (?P<nothing>\\[!()\[\]] | (?<!\\)\$ | \\(?:text)?color(?:box)?\s*\{{[^{{}}]*\}} | \\\Z
        | </?(?:b|i|u|em|strong|code|answer)>
        | \\(?:left|right|[bB]igg?[lr]?|displaystyle|textstyle|tiny|scriptsize|footnotesize|small|normalsize
          |large|Large|LARGE|huge|Huge|rm|bf|it|tt|sf|em|bfseries|itshape|ttfamily|sffamily)(?![a-zA-Z]))
    | (?P<opening>\\\{{|\\lbrace(?![a-zA-Z]))
    | (?P<closing>\\\}}|\\rbrace(?![a-zA-Z]))
    | \\(?P<character>[_\#%&$])
    """,
    re.VERBOSE,
)
_WRITTEN = {"line": "\n", "blank": " ", "nothing": "", "opening": "[", "closing": "]"}
# A group of LaTeX that contains no other group.
_GROUP = re.compile(rf"(?:\\{{1,2}}(?:{_FONTS})\*?\s*)?\{{([^{{}}]*)\}}")
# Emphasis of a part. Its length is limited, so that a search takes linear time.
_EMPHASIS = re.compile(r"(?<![\w*`])(\*{1,3}|_{1,2}|`)([^*_`]{1,99})\1(?![\w*`])")


class Box(NamedTuple):
    """A box in a text: where its mark, its content, its closing mark and the text after it start."""

    start: int
    content: int
    closing: int
    end: int


def in_box(answer: str) -> str:
    r"""The answer inside \boxed{}, as a response gives it."""
    return rf"\boxed{{{answer}}}"


def boxed(text: str) -> str | None:
    """The content of the last complete box after the thought, preferably one that is not empty; else None."""
    answer = answer_in(text)
    contents = [answer[box.content : box.closing].strip() for box in _boxes(answer)]
    return next(filter(None, reversed(contents)), "" if contents else None)


def after_box_mark(answer: str) -> str | None:
    """What follows the mark that opens the last box, complete or not; None without such a mark."""
    for marks in (_BOXES, _TAGS):
        if opening := [mark.end() for mark in marks.finditer(answer) if mark.lastgroup == "box"]:
            return answer[opening[-1] :]
    return None


def box_marks(text: str) -> Iterator[range]:
    """Where the marks are that open or close a box, and the braces."""
    return (range(*mark.span()) for marks in (_BOXES, _TAGS) for mark in marks.finditer(text))


def without_boxes(text: str) -> str:
    """The reasoning: the text without its complete boxes."""
    pieces, start = [], 0
    for box in _boxes(text):
        pieces.append(text[start : box.start])
        start = box.end
    return "".join([*pieces, text[start:]])


def has_format(text: str) -> bool:
    """Whether a text begins with <think>...</think> and has \\boxed{...} somewhere after it.

    This accepts what <think>.*</think>.*\\boxed{.*}.* matches, the pattern of verl and EasyR1, also after
    spaces. A regular expression would take cubic time on some texts.
    """
    rest = text.lstrip()
    if not rest.startswith(_FORMAT_MARKS[0]):
        return False
    for mark in _FORMAT_MARKS:
        _, found, rest = rest.partition(mark)
        if not found:
            return False
    return True


def _boxes(text: str) -> list[Box]:
    """All complete boxes that are not inside another one, in linear time."""
    return _pairs(_BOXES, text) or _pairs(_TAGS, text)


def _pairs(marks: re.Pattern[str], text: str) -> list[Box]:
    opened: list[re.Match[str]] = []
    found: list[Box] = []
    for mark in matches(_BEGINNING, marks, text):
        if mark.lastgroup:
            opened.append(mark)
        elif opened and (opening := opened.pop()).lastgroup == "box":
            while found and found[-1].start > opening.start():
                found.pop()
            found.append(Box(*opening.span(), *mark.span()))
    return found


def unwrapped(answer: str) -> str:
    r"""The answer without wrappers around all of it, and without a final full stop.

    Wrappers are \text{...} and similar LaTeX commands, formulas, **bold**, quotes, brackets and code blocks.
    """
    for _ in range(_MAX_WRAPPERS):
        answer = answer.strip().removesuffix(".")
        if len(answer) > 1 and answer[0] + answer[-1] in _PAIRS and not answer.startswith("```"):
            answer = answer[1:-1]
        elif match := _WRAPPER.fullmatch(answer):
            answer = match[match.lastindex or 0]
        else:
            break
    return answer.strip()


def without_markup(answer: str) -> str:
    """The answer as a reader sees it: without LaTeX, Markdown, wrappers and other forms of characters."""
    text = _LATEX.sub(lambda m: _WRITTEN.get(m.lastgroup or "", m["character"]), normalized(answer))
    for _ in range(_MAX_WRAPPERS):
        text, groups = _GROUP.subn(r" \1 ", text)
        if not groups:
            break
    return unwrapped(_EMPHASIS.sub(r"\2", text))


# Most responses give one of few answers.
@lru_cache(maxsize=512)
def plain(answer: str) -> str:
    """The answer without markup, in lower case and with single spaces, for comparisons."""
    return " ".join(without_markup(answer).split()).casefold()
