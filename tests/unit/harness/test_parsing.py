"""Which part of a response is its answer."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.parsing import boxed, in_box, plain, unwrapped, without_boxes
from harness.stats.intervals import wilson


@pytest.mark.parametrize(
    ("text", "answer"),
    [
        (r"\boxed{Case 1}", "Case 1"),
        (r"<think>\boxed{Case 1}</think>\boxed{Case 2}", "Case 2"),
        (r"first \boxed{Case 1}, no: \boxed{ Case 3 }.", "Case 3"),
        (r'\boxed{{"name": "OCR", "arguments": {}}}', '{"name": "OCR", "arguments": {}}'),
        (r"<think>never closed \boxed{Case 1}", None),
        (r"<think>a</think> Case 1", None),
        (r"\boxed{Case 1", None),
        ("", None),
        (r"</think>\boxed{}", ""),
        (r"\boxed {Case 1}", "Case 1"),
        (r"\boxed\{Case 1\}", "Case 1\\"),
        (r"\fbox{Case 1}", "Case 1"),
        (r"\framebox{Case 1}", "Case 1"),
        (r"\boxed{Case 1} I box it as \boxed{", "Case 1"),
        (r"\boxed{Case 1} I box it as \boxed{Case 2", "Case 1"),
        (r"\boxed{Case 1}, in the form \boxed{}.", "Case 1"),
        (r"\boxed{Case 2 \boxed{Case 1}", "Case 1"),
        (r"\boxed{\boxed{Case 1} \boxed{Case 2}}", r"\boxed{Case 1} \boxed{Case 2}"),
        ("<|begin_of_box|>Case 1<|end_of_box|>", "Case 1"),
        (r"<answer>no <|begin_of_box|>Case 1<|end_of_box|></answer>", "Case 1"),
        ("<answer>\nCase 1\n</answer>", "Case 1"),
        ("<Response>Case 1</Response>", "Case 1"),
        (r"\boxed{Case 1} <answer>Case 2</answer>", "Case 1"),
        ("<answer>Case 1", None),
        # The two rules that docs/scoring.md calls contestable.
        (r"\boxed{Case 1}, \boxed{Case 2}, \boxed{Case 3}, \boxed{Case 1}", "Case 1"),
        (r"<think>a</think>\boxed{Case 1}<think>hm", "Case 1"),
    ],
)
def test_the_last_box_after_thinking_is_the_answer(text: str, answer: str | None) -> None:
    assert boxed(text) == answer


@given(st.text(alphabet="{}abc \\"))
def test_any_balanced_answer_is_extracted_from_its_box(text: str) -> None:
    depth = low = 0
    for c in text:
        depth += {"{": 1, "}": -1}.get(c, 0)
        low = min(low, depth)
    if depth == 0 and low == 0:
        assert boxed(rf"<think>x</think>\boxed{{{text}}} y") == text.strip() or r"\boxed{" in text


WRAPPERS = (
    r"\text{@}", r"\textbf{@}", r"\mathrm{@}", "**@**", '"@"', "'@'", "```json\n@\n```", "@."
)  # fmt: skip


@given(st.text(alphabet="{}Case 1.\\"), st.lists(st.sampled_from(WRAPPERS), max_size=3, unique=True))
def test_wrappers_around_the_whole_answer_are_removed(text: str, wrappers: list[str]) -> None:
    wrapped = text = unwrapped(text)
    for wrapper in wrappers:
        wrapped = wrapper.replace("@", wrapped)
    balanced = boxed(rf"\boxed{{{text}}}") == text
    if text and balanced and not text.endswith("."):
        assert unwrapped(wrapped) == text


MARKUP = [
    r"\text{Case} 1", r"\text{Case }1", r"\text{Case}1", r"Case\ 1", "Case~1", r"\text{Case}~1", "$Case 1$",
    r"\textsf{Case 1}", r"\mathbf{\text{Case 1}}", r"\mathrm{Case}\,1", r"Case\;1", r"Case\quad 1",
    r"Case\hspace{0.2cm}1", r"\operatorname{Case}\ 1", r"\mbox{Case 1}", r"\large Case 1", r"{\bf Case 1}",
    r"\textcolor{red}{Case 1}", r"\left(\text{Case 1}\right)", r"\(Case 1\)", r"\{Case 1\}", r"\,Case 1\ ",
    r"\\text{Case 1}", r"\boxed{Case 1}", r"\fbox{Case 1}", r"\text{Case }\mathbf{1}", "*Case 1*", "_Case 1_",
    "**Case** 1", "Case **1**", "***Case 1***", "`Case 1`", "‘Case 1’", "“Case 1”", "«Case 1»", "(Case 1)",
    "[Case 1]", "<Case 1>", "（Case 1）", "【Case 1】", "Case １", "Ｃａｓｅ　1", "𝐂𝐚𝐬𝐞 𝟏",
    "Case\N{NO-BREAK SPACE}1",
    "\N{ZERO WIDTH SPACE}Case\N{WORD JOINER} 1", "\N{ZERO WIDTH NO-BREAK SPACE}Case 1", "Case&nbsp;1",
    "Case\n1", "CASE 1.", "Case 1。", "``Case 1''", r"\colorbox{yellow}{Case 1}", "<b>Case</b> 1",
    "<answer>Case 1</answer>",
]  # fmt: skip


@pytest.mark.parametrize("answer", MARKUP)
def test_an_answer_is_read_as_people_write_it(answer: str) -> None:
    assert plain(boxed(in_box(answer)) or "") == "case 1"
    quoted = f'"{answer}"'
    assert plain(boxed(f"$${in_box(quoted)}$$") or "") == "case 1"


@pytest.mark.parametrize("markup", MARKUP)
@pytest.mark.parametrize("other", ["1 or Case 2", "1, Case 2", "1; Case 2", "12", "1 2", "2", "-1"])
def test_markup_never_makes_another_answer_correct(markup: str, other: str) -> None:
    answer = markup.replace("1", other).replace("１", other).replace("𝟏", other)
    assert plain(boxed(in_box(answer)) or "") != "case 1"


@pytest.mark.parametrize(
    "answer",
    ["Case 10", "1", "Case 01", '"Case 1', "**Case 1", r"\text{Case 1", r"\box{Case 1}", "Case 1, Case 2",
     "Case 1 or Case 2", r"\text{Case 1} or \text{Case 2}", '"Case 1" or "Case 2"', "```Case 1", "Case 1..",
     "Case 1!", "~~Case 1~~", r"\cancel{Case 1}", r"\sout{Case 1}", r"\overline{Case 1}", r"Case 1 \\ Case 2",
     "not Case 1", r"\boxed{Case 1} \boxed{Case 2}", r"\boxed{Case 2} \boxed{Case 1}"],
)  # fmt: skip
def test_other_differences_are_kept(answer: str) -> None:
    assert plain(answer) != "case 1"
    assert plain(f"**{answer}**") != "case 1"


def test_the_reasoning_is_the_text_without_its_boxes() -> None:
    assert without_boxes(r"a \boxed{b {c}} d \boxed{\boxed{e}} f \boxed{g") == r"a  d  f \boxed{g"
    assert without_boxes("a <answer>b</answer> c") == "a  c"


def test_hostile_texts_are_read_in_linear_time() -> None:
    """In quadratic time, each of these would take minutes."""
    boxed(r"\boxed{" * 150_000)
    boxed(r"\boxed{" + "{" * 200_000)
    for wrapper in (r"\text{", "**", "'", "```", "."):
        unwrapped(wrapper * 200_000)
    for piece in (
        r"\boxed{",
        r"\text{",
        r"\hspace{",
        "*a ",
        "_a ",
        "`",
        "\\",
        "<answer>",
        "\u0323\u0301",
        "ﷺ",
    ):
        text = piece * (100_000 // len(piece))
        plain(text), boxed(in_box(text)), without_boxes(text)
    unwrapped(r"\text{" * 100_000 + "}" * 100_000)


@given(n=st.integers(1, 500), data=st.data())
def test_wilson_contains_the_share_and_shrinks_with_n(n: int, data) -> None:
    k = data.draw(st.integers(0, n))
    low, high = wilson(k, n)
    assert 0 <= low <= k / n + 1e-12
    assert k / n - 1e-12 <= high <= 1
    wider = wilson(k / n * 4, 4)
    assert high - low <= wider[1] - wider[0] + 1e-12 or n < 4


def test_wilson_equals_a_published_interval() -> None:
    """Newcombe (1998), table I: 81 of 263."""
    low, high = wilson(81, 263)
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)
