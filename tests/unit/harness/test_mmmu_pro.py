"""MMMU-Pro: which letter is extracted from a response."""

import ast
import gzip
import json
import os
from pathlib import Path

import pytest

from harness.general.mmmu_pro import extract_answer

COLORS = ["red", "dark blue", "green", "blue"]


@pytest.mark.parametrize(
    ("text", "letter"),
    [
        ("Answer: B", "B"),
        ("Answer: A\nNo.\nAnswer: C", "C"),
        ("Answer: (D)", "D"),
        ("**Answer: B**", "B"),
        ("(A) is wrong.\nAnswer: B or C, so (C)", "C"),  # two letters, so the next step decides
        ("Perhaps (B), rather (A)", "A"),
        ("A, B", "B"),  # "A," is not one of the forms
        ("it is A or B then", "B"),
        ("It must be C. Yes", "C"),
        ("C.", "C"),
        ("what is shown here looks green to me", "C"),
        ("first green, and then all of it dark blue", "D"),  # "blue" starts after "dark blue"
        ("green", None),  # five words or fewer are not searched for an option's text
        ("there is nothing to be said of it", None),
        ("", None),
        ("E", None),
        ("<think>Answer: A</think>Answer: B", "B"),
        ("<think>Answer: A", None),
    ],
)
def test_the_letter_in_a_response(text: str, letter: str | None) -> None:
    assert extract_answer(text, COLORS) == letter


def test_letters_without_an_option_are_ignored() -> None:
    assert extract_answer("Answer: C", ["x", "y"]) is None
    assert extract_answer("Answer: L", [str(n) for n in range(12)]) == "L"


@pytest.mark.parametrize("piece", ["Answer:", "Answer: A ", "(A)", "A ", "B.", "ab ", "red ", ".,", "é", " "])
def test_a_megabyte_of_adversarial_text_takes_little_time(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    hard = ["ab " * 1000 + "c", "c" + "ab " * 1000, "é" * 5000 + "e", "e" + "é" * 5000]
    for options in (COLORS, hard):
        extract_answer(text, options)
        assert extract_answer(f"{text}\nAnswer: D", options) == "D"


@pytest.mark.skipif(
    "BENCH_DATA" not in os.environ, reason="BENCH_DATA, a folder of real responses, is not set"
)
@pytest.mark.parametrize(("name", "guessed"), [("standard10_cot", 0), ("vision_direct", 48)])
def test_agreement_with_the_official_extraction(name: str, guessed: int) -> None:
    with gzip.open(Path(os.environ["BENCH_DATA"]) / "mmmu_pro" / f"{name}.jsonl.gz") as file:
        rows = [json.loads(line) for line in file]
    extracted = [(extract_answer(r["response"], ast.literal_eval(r["options"])), r) for r in rows]
    assert sum(letter is None for letter, _ in extracted) == guessed
    same = [letter == row["official_pred"] for letter, row in extracted if letter is not None]
    assert sum(same) >= 0.995 * len(same)
