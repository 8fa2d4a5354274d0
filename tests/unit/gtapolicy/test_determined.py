"""Every gold call follows from a sentence of the policy, and its arguments from what the model sees."""

import re
from collections.abc import Iterator

import pytest

from gtapolicy.dataset.dialogs import Dialog, Step
from gtapolicy.policy import rules, wording
from gtapolicy.scenarios import Scenarios

SCENARIOS = Scenarios()
TABLE = SCENARIOS.with_tips(rules.load())
POLICY = wording.policy_text(TABLE, "GTA-Test")
ALL = [SCENARIOS.dialog(seed, number) for seed in (0, 1, 2) for number in range(229)]
# What a query must say if its first call follows from a tip. No query matches two of them.
CUES = {
    "explain": r"\bexplain",
    "restyle": r"(turn|convert|change) this (in)?to|(redo|restyle|redraw) this|look like|the look of"
    r"|(this|it|picture|photo) as |the style of my picture to|make this (a|an) ",
    "new-image": r"new image|fresh image",
    "unnamed": r"count (them|these)|count what|items",
    "search": r"year of (publication|birth)|(founding|first) year|(ticket price|price of this)"
    r"|number of (pages|employees|works|visitors|servings)|several reviews",
    "search-count": r"almanac",
}
# The words of a query that points to the words in the image.
POINTS_TO_WORDS = r"words|lettering|written|the text"


def steps() -> Iterator[tuple[Dialog, int, Step]]:
    return ((dialog, at, step) for dialog in ALL for at, step in enumerate(dialog.steps))


def words(text: str) -> set[str]:
    return set(re.findall(r"[^\W_]+", text.lower()))


def seen(dialog: Dialog, at: int) -> str:
    """The query and what the earlier calls returned."""
    return "\n".join([dialog.query, *(step.returned for step in dialog.steps[:at])])


def test_every_call_follows_from_a_sentence_about_its_tool() -> None:
    for _, _, step in steps():
        sentence = TABLE.reason(step.tool, step.tip)
        assert sentence in POLICY
        named = step.tool in sentence or sentence == TABLE.tool(step.tool).description
        assert named or (step.tip == "several" and step.tool == "ImageDescription"), step


def test_the_query_says_which_tip_holds_for_the_first_call() -> None:
    for dialog in ALL:
        matches = [tip for tip, cue in CUES.items() if re.search(cue, dialog.query, re.IGNORECASE)]
        first = dialog.steps[0]
        if len(dialog.images) > 1:
            assert first.tip == "several"
        elif first.tip in CUES:
            assert matches == [first.tip], dialog.query
            if first.tip == "search":
                points = re.search(POINTS_TO_WORDS, dialog.query, re.IGNORECASE) is not None
                assert points == (first.tool == "OCR"), dialog.query
        else:
            assert first.tool != "ImageDescription", dialog.query


def test_calls_with_the_same_tip_are_in_its_order() -> None:
    for dialog in ALL:
        for tip in {step.tip for step in dialog.steps} - {"", "search", "region"}:
            # "search" names two tools to start with, and "region" what comes before its tool.
            text = TABLE.reason("OCR", tip)
            places = [text.find(step.tool) for step in dialog.steps if step.tip == tip]
            assert places == sorted(places), (tip, dialog)


@pytest.mark.parametrize("name", ["query", "text", "attribute", "annotation", "color"])
def test_arguments_are_words_of_the_query_or_of_the_history(name: str) -> None:
    for dialog, at, step in steps():
        if name in step.arguments:
            known = words(seen(dialog, at))
            given = words(str(step.arguments[name]))
            # Objects are named in the singular.
            plurals = {f"{word}s" for word in given} | {f"{word}es" for word in given}
            missing = {w for w in given - known if not {f"{w}s", f"{w}es"} & plurals & known}
            assert not missing, (missing, dialog.query, step)


def test_instructions_and_keywords_repeat_the_query() -> None:
    for dialog, at, step in steps():
        if step.tool == "ImageStylization":
            style = str(step.arguments["instruction"]).removeprefix("turn the image into ")
            assert style in dialog.query
        if step.tip == "new-image" and step.tool == "TextToImage":
            description, keywords = dialog.steps[at - 1].returned, str(step.arguments["keywords"])
            assert keywords.startswith(description.rstrip(".") + ", ")
            assert keywords.removeprefix(description.rstrip(".") + ", ") in dialog.query
