"""Which part of a response is its answer."""

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.parsing import boxed, plain, unwrapped
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


@pytest.mark.parametrize(
    "answer",
    ["Case 10", '"Case 1', "**Case 1", r"\text{Case 1", r"\text{Case} 1", r"\box{Case 1}", "(Case 1)",
     r"\text{Case 1} or \text{Case 2}", '"Case 1" or "Case 2"', "```Case 1", "Case 1..", "Case 1!"],
)  # fmt: skip
def test_other_differences_are_kept(answer: str) -> None:
    assert plain(answer) != "case 1"
    assert plain(f"**{answer}**") != "case 1"


def test_a_megabyte_of_braces_takes_linear_time() -> None:
    started = time.process_time()
    boxed(r"\boxed{" * 150_000)
    boxed(r"\boxed{" + "{" * 10**6)
    for wrapper in (r"\text{", "**", "'", "```", "."):
        unwrapped(wrapper * 200_000)
    unwrapped(r"\text{" * 100_000 + "}" * 100_000)
    assert time.process_time() - started < 5


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
