"""The marks of entries against a simple definition."""

from dataclasses import replace
from statistics import median_low

from hypothesis import given
from hypothesis import strategies as st

from leaderboards.marks import EXPLANATIONS, UNUSUAL_TOKENS, marks
from leaderboards.storage.records import Entry, Figures

FIGURES = Figures(0.5, 0.4, 0.6, 10, 0, 0, 1, leak="no leak", prompts_known=True)
TOKENS = st.one_of(st.none(), st.sampled_from([10.0, 20.0, 40.0, 41.0, 100.0]))


@given(st.lists(st.tuples(st.sampled_from("abcde"), TOKENS), max_size=9))
def test_unusual_tokens_are_more_than_twice_the_median_of_the_other_models(
    submitted: list[tuple[str, float | None]],
) -> None:
    entries = [
        Entry(str(k), model, "run", "then", replace(FIGURES, columns={"prompt tokens": count}), 1)
        for k, (model, count) in enumerate(submitted)
    ]
    found = marks(entries)
    assert {mark for some in found.values() for mark in some} <= EXPLANATIONS.keys()
    for k, (model, count) in enumerate(submitted):
        others = {m: min(c for n, c in submitted if n == m and c) for m, c in submitted if c and m != model}
        usual = median_low(others.values()) if others else None
        expected = count is not None and usual is not None and count > 2 * usual
        assert (UNUSUAL_TOKENS in found[str(k)]) == expected
