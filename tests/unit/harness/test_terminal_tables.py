"""Tables for terminals of any width."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from harness.report.text import LONG_WORD, fitting_table, left_out_note, terminal_table

HEAD = ("run", "variant", "score (%)", "n", "failed")
ROWS = [("hf:a/long-name", "internalized", "9.5", "400", "0"), ("b", "override", "100.0", "4", "12")]


def test_texts_are_left_aligned_and_figures_right_aligned() -> None:
    assert terminal_table(HEAD, ROWS, texts=2).splitlines() == [
        "run             variant       score (%)    n  failed",
        "hf:a/long-name  internalized        9.5  400       0",
        "b               override          100.0    4      12",
    ]
    assert terminal_table(HEAD, [], texts=2) == "  ".join(HEAD)


@given(st.integers(20, 80))
def test_wrapping_loses_nothing_and_keeps_titles_and_figures_whole(width: int) -> None:
    head, *lines = terminal_table(HEAD, ROWS, 2, width).splitlines()
    narrowest = (
        len("hf:a/long-") + len("internalized") + len("score (%)") + len("400") + len("failed") + 4 * 2
    )
    assert max(map(len, [head, *lines])) <= max(width, narrowest)
    assert re.split(" {2,}", head) == list(HEAD)
    variant, score = head.index("variant"), head.index("score")
    for column, start, end in ((0, 0, variant), (1, variant, score)):
        assert "".join(line[start:end].strip() for line in lines) == ROWS[0][column] + ROWS[1][column]
    assert [figures for line in lines if (figures := line[score:].split())] == [[*row[2:]] for row in ROWS]


@given(st.lists(st.text("abc", min_size=1, max_size=LONG_WORD), min_size=1), st.integers(1, 40))
def test_words_are_kept_whole(words: list[str], width: int) -> None:
    table = terminal_table(("name", "n"), [(" ".join(words), "1")], 1, width)
    assert [word for line in table.splitlines()[1:] for word in line.split() if word != "1"] == words


@pytest.mark.parametrize(
    ("width", "titles"),
    [
        (None, HEAD),
        (48, HEAD),
        (47, ("run", "variant", "score (%)", "failed")),
        (42, ("run", "score (%)", "n", "failed")),
        (10, ("run", "score (%)")),
    ],
)
def test_a_table_has_the_main_columns_and_others_that_fit(width: int | None, titles: tuple[str, ...]) -> None:
    table, left_out = fitting_table(HEAD, ROWS, 2, width, ("run", "score (%)"), ("failed",))
    assert tuple(re.split(" {2,}", table.splitlines()[0])) == titles
    assert left_out == [name for name in HEAD if name not in titles]


def test_the_note_is_grammatical() -> None:
    assert left_out_note(["n"]).startswith("1 column does not fit into this terminal (n). ")
    assert left_out_note(["n", "p"]).startswith("2 columns do not fit into this terminal (n, p). ")
