"""One form of a thought, <think>...</think>, for responses in the marks of every model family."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.thoughts import answer_in, as_think_block, closed_by, continued, marks, opened_by

OPENINGS = [
    *("<think>", "<THINK>", "<thinking>", "<thought>", "<reasoning>", "<seed:think>", "[THINK]", "◁think▷"),
    *("<|think|>", "<|begin_of_thought|>", "<|START_THINKING|>", "<|inner_prefix|>"),
    *("<unused94>thought", "<|channel>thought", "<|channel|>analysis<|message|>"),
]
BOX = r"\boxed{Case 1}"
CHAIN = f"<think>\nTwo cubes.\n</think>\n{BOX}"
words = st.text(st.characters(exclude_characters="<>[]|◁▷", exclude_categories=["Cs"])).filter(str.strip)


@pytest.mark.parametrize("opening", OPENINGS)
def test_every_block_has_a_closing_mark(opening: str) -> None:
    (first, second) = marks(f"{opening} Two cubes. {closed_by(opening)}")
    assert (first.opens, second.opens, first.kind) == (True, False, second.kind)


@pytest.mark.parametrize("space", ["", "\n", "\n\n"])
@pytest.mark.parametrize("opening", OPENINGS)
def test_a_response_continues_what_the_prompt_opened(opening: str, space: str) -> None:
    opened = opened_by(f"<|im_start|>assistant\n{opening}{space}")
    assert opened == opening + space
    for response, thought in ((CHAIN, "Two cubes."), (BOX, "")):
        rest = continued(opened, response)
        assert "<think>" not in rest
        assert answer_in(opened + rest).strip() == BOX
        assert as_think_block(opened + rest).split() == f"<think> {thought} </think> {BOX}".split()


def test_the_whole_text_is_the_response_itself_if_the_prompt_opens_its_form() -> None:
    assert "<think>\n" + continued("<think>\n", CHAIN) == CHAIN
    assert continued("", CHAIN) == CHAIN


@given(words, words, st.sampled_from(OPENINGS))
def test_the_answer_is_the_same_in_every_form(thought: str, answer: str, opening: str) -> None:
    text = f"{opening}\n{thought}{closed_by(opening)}{answer}"
    assert answer_in(as_think_block(text)) == answer_in(text)
    assert answer_in(opening + continued(opening, text)) == answer_in(text)


@pytest.mark.parametrize("text", ["", BOX, f"<think>Perhaps {BOX}", "[THINK]<think>a</think>" + BOX])
def test_a_text_without_a_complete_first_block_stays_as_it_is(text: str) -> None:
    assert as_think_block(text) == text


def test_a_closing_mark_alone_ends_a_thought_of_the_prompt() -> None:
    assert as_think_block(f"Two cubes.[/THINK]{BOX}") == f"<think>Two cubes.</think>{BOX}"
