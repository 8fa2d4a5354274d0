"""How alike texts are: the same promises by meaning and by letters, and a name for which of them it was."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtapolicy.grading import text_similarity
from gtapolicy.grading.text_similarity import similarities, similarity

words = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=30)


@given(words, words)
def test_between_0_and_1_and_1_for_itself(one: str, other: str) -> None:
    assert 0 <= similarity(one, other) <= 1
    assert similarity(one, one) == 1
    if one.strip():
        assert similarity(one, "") == similarity("", one) == 0


def test_empty_texts_are_alike() -> None:
    assert similarity("", "  ") == 1


def test_many_at_once_are_the_same_as_one_by_one() -> None:
    pairs = [("a red dog", "a brown dog"), ("", "x"), ("same", "same"), ("plot(x)", "tax return")]
    assert similarities(pairs) == pytest.approx([similarity(*pair) for pair in pairs], abs=1e-5)


def test_letters_alone_know_order_and_case(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_similarity, "_scorer", lambda: text_similarity._by_letters)
    assert similarity("The red dog", "the RED dog") == 1
    assert similarity("red dog on a sofa", "a red dog on the sofa") > similarity(
        "red dog on a sofa", "tax return"
    )


@pytest.mark.skipif(not text_similarity._has_model(), reason="needs the extra [text]")
def test_meaning_counts_where_the_model_is_installed() -> None:
    assert "MiniLM" in text_similarity.scorer_id()
    assert similarity("dog", "puppy") > 0.6 > similarity("dog", "tax return")
