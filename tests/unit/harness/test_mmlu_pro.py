"""MMLU-Pro: which letter is extracted from a response, and how it is scored."""

import gzip
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.general.choice import LETTERS
from harness.general.mmlu_pro import MmluPro, extract_answer
from harness.records import Instance

ADVERSARIAL = [
    "answer: ", "answer:", "Answer:\n", "answer is (", "the answer is ", "x answer: \t", "A", "A ", "(A",
    "Question:", "{", ".", "7", " ", "<think>", "</think>",
]  # fmt: skip


def in_three_steps(text: str) -> str | None:
    """The official script's patterns. They take quadratic time, so for short texts only."""
    for pattern in (
        r"answer is \(?([A-J])\)?",
        r".*[aA]nswer:\s*([A-J])",
        r"\b([A-J])\b(?!(?s:.*)\b[A-J]\b)",
    ):
        if match := re.search(pattern, text):
            return match[1]
    return None


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("So the answer is (C).", "C"),
        ("the answer is C, though the answer is (D)", "C"),
        ("The ANSWER IS (C)", "C"),  # by the third step
        ("answer is (c)", None),
        ("Answer: B\nAnswer: C", "B"),
        ("Answer: B or answer: C\nAnswer: D", "C"),
        ("Answer:\n\n  D", "D"),
        ("answer: Answer: B", "B"),
        ("I think B or maybe E", "E"),
        ("CAB", None),
        ("", None),
        ("<think>the answer is (A)</think>the answer is (B)", "B"),
        ("<think>the answer is (A)", None),
    ],
)
def test_the_letter_in_a_response(text: str, letter: str | None) -> None:
    assert extract_answer(text, 10) == letter


@given(
    st.lists(
        st.sampled_from(["answer is ", "Answer:", "answer:", "(", ")", "A", "B", "J", "K", " ", "\n", "a"])
    )
)
def test_the_letter_is_that_of_the_official_three_steps(words: list[str]) -> None:
    text = "".join(words)
    assert extract_answer(text, 10) == in_three_steps(text)


def test_a_letter_without_an_option_is_returned_as_in_the_script() -> None:
    assert extract_answer("the answer is (J)", 4) == "J"
    assert extract_answer("the answer is (K)", 10) is None
    assert extract_answer("the answer is (K)", 11) == "K"


@pytest.mark.parametrize("piece", ADVERSARIAL)
def test_a_megabyte_of_adversarial_text_takes_little_time(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    assert extract_answer(text + "\nthe answer is (D)", 10) == (None if piece == "<think>" else "D")
    extract_answer(text, 10)


def instance(options: int = 4) -> Instance:
    return Instance("1", "test", (), {"category": "law", "options": ["x"] * options}, None, "B")


@pytest.mark.parametrize("options", [4, 10])
@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("The answer is (B). Question: next? The answer is (C).", "B"),
        ("The answer is (B).\n\nQuestion:\nWhich next?\nAnswer: The answer is (D).", "B"),
        ("Answer: B\n\nQuestion: next?\nThe answer is (D).", "B"),
        ("<think>Question: is the answer is (C)?</think>The answer is (B).", "B"),
        ("Question: which one? I go through all. The answer is (B).", "B"),
        ("Question: which one? The answer is (B).\n\nQuestion: next? The answer is (D).", "B"),
        ("I restate the Question: what is it. So the answer is (B).", "B"),
        ("Hm. Question: next? It must be B", "B"),
    ],
)
def test_a_stop_string_ends_the_text_only_behind_an_answer(text: str, letter: str, options: int) -> None:
    assert MmluPro(None).extract(text, ["x"] * options) == letter  # type: ignore[arg-type]


@given(st.lists(st.sampled_from([*ADVERSARIAL, "B", "J", "the answer is (", ")"])), st.integers(1, 26))
def test_the_letter_belongs_to_an_option(words: list[str], options: int) -> None:
    letter = MmluPro(None).extract("".join(words), ["x"] * options)  # type: ignore[arg-type]
    assert letter is None or LETTERS.index(letter) < options


def test_the_expected_score_of_a_random_guess_is_a_part() -> None:
    family = MmluPro(None)  # type: ignore[arg-type]
    none = family.grade(instance(), "B", "no idea")
    assert (none.value, none.reason, none.parts) == (0, "unparsed", {"official random": 0.25})
    assert family.grade(instance(), "B", "The answer is (C).").parts == {"official random": 0}
    assert family.grade(instance(), "B", "The answer is (B).").parts == {"official random": 1}


def test_importing_the_extraction_loads_no_large_library() -> None:
    code = (
        "import sys, harness.general.mmlu_pro, harness.general.mmmu_pro;"
        "print(*{'torch', 'pyarrow', 'huggingface_hub', 'matplotlib', 'numpy'} & sys.modules.keys())"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


@pytest.mark.skipif(
    "BENCH_DATA" not in os.environ, reason="BENCH_DATA, a folder of real responses, is not set"
)
@pytest.mark.parametrize(("era", "least"), [("chain", 0.999), ("level1", 1.0)])
def test_agreement_with_the_official_extraction(era: str, least: float) -> None:
    with gzip.open(Path(os.environ["BENCH_DATA"]) / "mmlu_pro" / "responses.jsonl.gz") as file:
        rows = [row for row in map(json.loads, file) if row["era"] == era]
    if era == "level1":  # only the first step was applied in these
        rows = [row for row in rows if row["official_pred"]]
    same = [extract_answer(row["response"], row["options"]) == row["official_pred"] for row in rows]
    assert len(same) > 900
    assert sum(same) >= least * len(same)
