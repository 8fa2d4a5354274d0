"""Where the thought of a response ends, for the marks of all known families of models."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.parsing import boxed
from harness.thoughts import answer_in, closed_by, opened_by

HARMONY = "<|end|><|start|>assistant<|channel|>final"
# The opening and the closing mark of each family.
FAMILIES = [
    ("<think>", "</think>"),
    ("<Think>\n", "</THINK>"),
    ("<thinking>", "</thinking>"),
    ("<thought>", "</thought>"),
    ("<reasoning>", "</reasoning>"),
    ("<scratchpad>", "</scratchpad>"),
    ("<seed:think>", "</seed:think>"),
    ("<longcat_think>", "</longcat_think>"),
    ("<think_fast>", "</think_fast>"),
    ('<think budget="3">', "</think>"),
    ("<think:fast>", "</think:fast>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|><|START_RESPONSE|>"),
    ("<|think_start|>", "<|think_end|>"),
    ("<|begin_of_thinking|>", "<|end_of_thinking|>"),
    ("<|reasoning|>", "<|/reasoning|>"),
    ("<|im_start|>think\n", "<|im_start|>answer"),
    ("<|inner_prefix|>", "<|inner_suffix|>"),
    ("<|think|>", "<|end|><|begin|>assistant<|content|>"),
    ("<unused94>thought\n", "<unused95>"),
    ("<|channel>thought\n", "<channel|>"),
    ("<|channel|>analysis<|message|>", f"{HARMONY}<|message|>"),
    ("<|channel|>analysis<|message|>", f"{HARMONY} <|constrain|>json<|message|>"),
    ("<|channel|>commentary to=a <|constrain|>json<|message|>", f"{HARMONY}<|message|>"),
]
THOUGHT, ANSWER = r"Perhaps \boxed{Case 1}? No", r"\boxed{Case 2}"


@pytest.mark.parametrize(("opening", "closing"), FAMILIES)
def test_the_answer_follows_the_thought_of_any_family(opening: str, closing: str) -> None:
    assert answer_in(f"{opening}{THOUGHT}{closing}{ANSWER}") == ANSWER
    # The template of the prompt opened the block.
    assert answer_in(f"{THOUGHT}{closing}{ANSWER}") == ANSWER
    # Cut off in the thought.
    assert boxed(opening + THOUGHT) is None
    # Cut off in a second thought.
    assert boxed(f"{opening}a{closing}{ANSWER}{opening}{THOUGHT}") == "Case 2"
    # Marks of other families inside the thought, and a repeated opening mark.
    for inner_opening, inner_closing in FAMILIES:
        if inner_closing != closing and inner_opening.casefold() != opening.casefold().strip():
            inner = f"{opening}a{inner_opening}b{inner_closing}{THOUGHT}"
            if not answer_in(inner):
                assert answer_in(inner + closing + ANSWER) == ANSWER
    assert answer_in(f"{opening}I write {opening} first.{THOUGHT}{closing}{ANSWER}") == ANSWER


@pytest.mark.parametrize(("opening", "_"), FAMILIES)
def test_a_prompt_that_opens_a_thought_is_recognized(opening: str, _: str) -> None:
    assert opened_by(f"<|im_start|>assistant\n{opening}\n") == f"{opening}\n"
    assert opened_by(f"{opening}a") == ""
    # What a trained response closes it with is recognized, too.
    assert answer_in(f"{opening}\n{THOUGHT}{closed_by(opening)}{ANSWER}") == ANSWER


def test_a_block_inside_a_thought_that_was_cut_off_is_part_of_it() -> None:
    assert boxed(rf"<think>a<reasoning>b</reasoning>{THOUGHT}") is None


@pytest.mark.parametrize(
    "text",
    ["I think <b>this</b> is [thought] through", "the <thinker> thinks", "analysis of it", "x < y > think",
     "in my thinking: a", "think>", "<thoughtful>", "Here's my thought process: a", "<|im_end|>"],
)  # fmt: skip
def test_other_words_are_no_marks(text: str) -> None:
    assert answer_in(f"{text} {ANSWER}") == f"{text} {ANSWER}"


@pytest.mark.parametrize(
    "closing",
    ["Here is my response:", "HERE'S MY RESPONSE:", "[BEGIN FINAL RESPONSE]", "assistantfinal"],
)
def test_words_that_begin_the_answer_end_the_thought(closing: str) -> None:
    assert (
        answer_in(f"analysisThe policy{closing}{ANSWER}" if closing[0] == "a" else closing + ANSWER) == ANSWER
    )


@given(st.lists(st.sampled_from([mark for pair in FAMILIES for mark in pair] + ["a", ANSWER])))
def test_the_answer_is_a_part_of_the_text(pieces: list[str]) -> None:
    assert answer_in("".join(pieces)) in "".join(pieces)
