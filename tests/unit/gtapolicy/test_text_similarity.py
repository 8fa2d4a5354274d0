"""The similarity of texts: properties of both scorers, and the id of the scorer in use."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtapolicy.grading import text_similarity
from gtapolicy.grading.text_similarity import similarity

words = st.text(st.characters(codec="ascii", exclude_categories=["Cc"]), max_size=30)


@given(words, words)
def test_similarity_is_between_0_and_1_and_1_to_itself(one: str, other: str) -> None:
    assert 0 <= similarity(one, other) <= 1
    assert similarity(one, one) == 1
    if one.strip():
        assert similarity(one, "") == similarity("", one) == 0


def test_empty_texts_are_equal() -> None:
    assert similarity("", "  ") == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Café Zoë", "Cafe\u0301 Zoe\u0308"),
        ("ＡＢＣ １２", "ABC 12"),
        ("it’s “so”", 'it\'s "so"'),
        ("ﬁve", "five"),
        ("a\N{NO-BREAK SPACE}b", "a b"),
        ("a\nb", "a b"),
        ("zero\N{ZERO WIDTH SPACE}width", "zerowidth"),
    ],
)
def test_the_encoding_of_a_text_does_not_matter(one: str, other: str) -> None:
    assert similarity(one, other) == similarity(other, one) == 1


def test_comparing_letters_ignores_case_and_considers_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text_similarity, "_scorer", lambda: text_similarity._by_letters)
    assert similarity("The red dog", "the RED dog") == 1
    similar, different = (similarity("red dog on a sofa", x) for x in ("a red dog on the sofa", "tax return"))
    assert similar > different


@pytest.mark.skipif(text_similarity._model_folder() is None, reason="needs the extra [text]")
def test_the_model_compares_meanings() -> None:
    assert "MiniLM" in text_similarity.scorer_id()
    assert similarity("dog", "puppy") > 0.6 > similarity("dog", "tax return")
