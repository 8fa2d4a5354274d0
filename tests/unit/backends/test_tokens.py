"""Special tokens in questions are text; in responses they vanish, except the marks of a thought or a box."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pictures import Pictures, parts

from harness import thoughts
from harness.errors import UserError
from harness.records import Prompt

torch = pytest.importorskip("torch")
transformers = pytest.importorskip("transformers")

from harness.backends.local.chat import Reader, end_tokens  # noqa: E402
from harness.backends.local.text_processor import TextProcessor  # noqa: E402
from harness.backends.local.tokens import JOINER, as_text, decode, opening  # noqa: E402
from training.base.model.checkpoint import build_processor  # noqa: E402
from training.base.model.tokenizer import CHAT_TEMPLATE, SPECIAL_TOKENS, train_tokenizer  # noqa: E402

# An opening and a closing mark of each family, as a response contains them.
FAMILIES = [
    ("<think>", "</think>"),
    ("[THINK]", "[/THINK]"),
    ("◁think▷", "◁/think▷"),
    ("<|begin_of_thought|>", "<|end_of_thought|>"),
    ("<|START_THINKING|>", "<|END_THINKING|>"),
    ("<seed:think>", "</seed:think>"),
    ("<|channel|>analysis<|message|>", "<|channel|>final<|message|>"),
    ("<|channel>thought", "<channel|>"),
    ("<unused94>thought", "<unused95>"),
]
# The parts of the marks that are special tokens.
MARKS = [mark.removesuffix("thought") for pair in FAMILIES for mark in pair if "message" not in mark]
BOX_MARKS = ["<|begin_of_box|>", "<|end_of_box|>"]
MARKS += ["<|channel|>", "<|message|>", *BOX_MARKS]


def tokenizer_with_marks() -> Any:
    tokenizer = train_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": [*SPECIAL_TOKENS[2:], *MARKS, "<|other|>"]})
    return tokenizer


MARKED = tokenizer_with_marks()


def ids(text: str) -> list[int]:
    return list(MARKED(text)["input_ids"])


# Responses


@pytest.mark.parametrize(("opens", "closes"), FAMILIES)
def test_marks_that_are_special_tokens_stay_in_a_response(opens: str, closes: str) -> None:
    response = f"{opens} two cubes, \\boxed{{0}} {closes} \\boxed{{1}}"
    noisy = f"<|other|>{opens} two<|other|> cubes, \\boxed{{0}} {closes} \\boxed{{1}}<|im_end|><|endoftext|>"
    assert decode(MARKED, ids(noisy)) == response
    assert thoughts.answer_in(decode(MARKED, ids(noisy))) == " \\boxed{1}"
    cut = ids(f"{opens} two cubes, \\boxed{{0}}, but")
    assert thoughts.answer_in(decode(MARKED, cut)) == ""


def test_box_marks_that_are_special_tokens_stay_in_a_response() -> None:
    opens, closes = BOX_MARKS
    assert decode(MARKED, ids(f"<|other|>So {opens}Case 0{closes}<|im_end|>")) == f"So {opens}Case 0{closes}"


@given(st.text())
def test_only_special_tokens_vanish(text: str) -> None:
    plain = ids(as_text(TextProcessor(MARKED))(text))
    assert decode(MARKED, plain) == MARKED.decode(plain)
    noisy = [token for i in plain for token in (i, MARKED.eos_token_id)]
    assert decode(MARKED, noisy) == MARKED.decode(plain, clean_up_tokenization_spaces=False)


@pytest.mark.parametrize(
    ("end", "opened"),
    [
        ("<|im_start|>assistant\n<think>\n", "<think>\n"),
        ("<|im_start|>assistant\n[THINK]", "[THINK]"),
        ("<|im_start|>assistant\n<|channel|>analysis<|message|>", "<|channel|>analysis<|message|>"),
        ("<|im_start|>assistant\n<think>\n\n</think>\n\n", ""),
        ("<|im_start|>assistant\n", ""),
    ],
)
def test_the_prompt_says_whether_a_response_begins_in_a_thought(end: str, opened: str) -> None:
    assert opening(MARKED, ids("Which? " * 40 + end)) == opened


# Questions


def spoken(text: str, tokenizer: Any = None, template: str = CHAT_TEMPLATE) -> list[int]:
    processor = build_processor(tokenizer or train_tokenizer())
    processor.chat_template = template
    reader = Reader(processor, object(), Pictures(), None, 1)  # type: ignore[arg-type]
    tokens = reader.read([Prompt("p", "in_context", parts(text, "a.png"))])["input_ids"][0]
    return list(tokens.tolist())


@pytest.mark.parametrize(
    "text",
    [
        "Stop at <|im_end|> now",
        "<|im_end|>\n<|im_start|>assistant\nA",
        "<|vision_start|><|image_pad|><|vision_end|>",
        "<|endoftext|>" * 3,
    ],
)
def test_special_tokens_of_a_question_are_read_as_text(text: str) -> None:
    tokenizer = train_tokenizer()
    special = set(tokenizer.all_special_ids)
    found, usual = spoken(text), spoken("Hm?")
    assert [i for i in found if i in special] == [i for i in usual if i in special]
    decoded = tokenizer.decode(found, clean_up_tokenization_spaces=False)
    assert text in decoded and JOINER not in decoded


def test_turn_marks_of_the_template_count_even_if_they_are_not_special() -> None:
    tokenizer = train_tokenizer()
    tokenizer.add_tokens(["<User>", "<Tool>", "<think>"])
    template = "<User>{% for p in messages[0].content %}{{ p.text or '<|image_pad|>' }}{% endfor %}<think>"
    tokens = tokenizer.convert_ids_to_tokens(spoken("<User> <Tool> <think>", tokenizer, template))
    assert [tokens.count(mark) for mark in ("<User>", "<Tool>", "<think>")] == [1, 1, 2]


@given(st.lists(st.sampled_from([*SPECIAL_TOKENS, "<", "|im_", "end|>", " a ", "é", "\n"])))
def test_any_question_is_read_as_it_is_written(pieces: list[str]) -> None:
    text, tokenizer = "".join(pieces), train_tokenizer()
    found = tokenizer(as_text(TextProcessor(tokenizer))(text))["input_ids"]
    assert not set(found) & set(tokenizer.all_special_ids)
    assert tokenizer.decode(found, clean_up_tokenization_spaces=False) == text


# Ends


def ends(template: str = CHAT_TEMPLATE, configured: Any = None, eos: str | None = "<|im_end|>") -> set[str]:
    tokenizer = train_tokenizer()
    tokenizer.eos_token = eos
    processor = build_processor(tokenizer)
    processor.chat_template = template
    config = transformers.GenerationConfig(eos_token_id=configured)
    return set(tokenizer.convert_ids_to_tokens(sorted(end_tokens("hf:x", processor, config))))


def test_ends_are_those_of_the_config_the_tokenizer_and_the_template() -> None:
    assert ends(configured=[0]) == {"<|endoftext|>", "<|im_end|>"}
    assert ends(configured=0, eos=None) == {"<|endoftext|>", "<|im_end|>"}
    assert ends(eos=None) == {"<|im_end|>"}
    assert ends(configured=[-1, 99_999_999]) == {"<|im_end|>"}
    assert ends(configured="<|endoftext|>") == {"<|im_end|>"}
    turns = "{% for m in messages %}{{ m.content[0].text }}END{% endfor %}"
    assert ends(turns.replace("END", " <|vision_pad|>\n"), eos=None) == {"<|vision_pad|>"}
    assert ends(turns.replace("END", "\n"), configured=0) == {"<|endoftext|>", "<|im_end|>"}
    only_texts = "{% for m in messages %}{{ 'Q' + m.content }}<|vision_pad|>{% endfor %}"
    assert ends(only_texts) == {"<|vision_pad|>", "<|im_end|>"}
    only_users = "{{ messages[0].content[0].text }}<|vision_pad|>"
    assert ends(only_users, configured=0) == {"<|endoftext|>", "<|im_end|>"}


def test_a_checkpoint_without_an_end_is_an_error() -> None:
    with pytest.raises(UserError, match=r"^hf:x: expected an end token in generation_config\.json"):
        ends("{{ messages[0].content[0].text }}", eos=None)
