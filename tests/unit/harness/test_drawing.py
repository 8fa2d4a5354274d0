"""Drawings of policies: every tree of ClevrPolicy, the paths through it, and hostile texts."""

from __future__ import annotations

import json
import re
from itertools import pairwise
from pathlib import Path as FilePath
from xml.etree import ElementTree

from hypothesis import given, settings
from hypothesis import strategies as st

from clevrpolicy.grading.error_analysis import FirstError
from clevrpolicy.grading.paths import claimed_path, gold_path, places_in_text, to_draw
from clevrpolicy.policy import reasoning, tree
from clevrpolicy.scene import clevr_json
from clevrpolicy.scene.ontology import KINDS
from harness.drawing.layout import SMALL_TREE, WIDTH, Line, folded_lines, outline, text_width, wrap
from harness.drawing.svg import MAX_STEPS, Symbol, draw_picture, draw_tree, mark_text
from harness.seeds import rng
from harness.tree import Mark, Node, Path, Step

HOSTILE = "<script>alert(1)</script>\x00\x1b[31m\ud800'\"&amp;]]>"
TREES = st.builds(
    lambda depth, seed, accumulate: tree.sample(rng(seed, "tree"), depth, accumulate),
    st.sampled_from(tree.DEPTHS),
    st.integers(0, 99),
    st.booleans(),
)
SCENES = st.lists(st.sampled_from(KINDS), min_size=1, max_size=10)
BOXES = [(left, 0, left + 10, 10) for left in range(0, 100, 10)]


def no_image(_: str) -> None:
    return None


@given(TREES, SCENES)
@settings(max_examples=60)
def test_the_gold_path_is_drawn_completely_and_the_rest_of_the_tree_is_small(tested, kinds) -> None:
    root = to_draw(tested)
    visits, leaf = tested.walk(tree.mask(kinds))
    gold = gold_path(tested, kinds, BOXES[: len(kinds)])
    names = {node.id: node.name for node in root.walk()}
    assert [step.node for step in gold.steps[:-1]] == [visit.condition for visit in visits]
    assert names[gold.steps[-1].node] == f"Case {leaf.case}"
    for mark in gold.marks:
        kind = kinds[BOXES.index(mark.place)]
        assert mark.nodes == tuple(v.condition for v in visits if v.met & tree.mask([kind]))
    rows = outline(root, {step.node for step in gold.steps}, {})
    shown = {row.node.id for row in rows if not row.folded}
    assert {step.node for step in gold.steps} <= shown
    # Each leaf is in a row of its own or in a folded one, and rows are next to each other.
    in_rows = [leaf.id for row in rows if row.folded or not row.node.branches for leaf in row.node.leaves()]
    assert in_rows == [leaf.id for leaf in root.leaves()]
    for row, following in pairwise(rows):
        assert following.top == row.top + row.height
    for row in rows:
        assert all(text_width(line.text, 13) <= WIDTH - row.text_x for line in row.lines[:1])
    if len(in_rows) > SMALL_TREE:
        assert len(rows) <= 2 * len(gold.steps)
    else:
        assert not any(row.folded for row in rows)
    whole = outline(root, (), {}, whole=True)
    assert [row.node.id for row in whole] == [node.id for node in root.walk()]
    ElementTree.fromstring(draw_tree(root, gold, no_image).svg)


@given(TREES, SCENES)
@settings(max_examples=30)
def test_the_path_of_gold_reasoning_is_the_gold_path(tested, kinds) -> None:
    root = to_draw(tested)
    claimed = claimed_path(reasoning.gold(tested, kinds), root, None)
    gold = gold_path(tested, kinds, [])
    assert [step.node for step in claimed.steps] == [step.node for step in gold.steps]
    svg = draw_tree(root, gold, no_image, claimed).svg
    steps = len(gold.steps) - 1
    assert (svg.count('"edge gold"'), svg.count('"edge claimed"')) == (steps, steps)
    assert "jump" not in svg and "first error" not in svg


def test_a_response_that_leaves_the_tree_is_drawn_with_its_first_error() -> None:
    tested = tree.sample(rng(0, "tree"), 4)
    root, kinds = to_draw(tested), KINDS[:5]
    gold = gold_path(tested, kinds, [])
    text = "Condition 1: yes. Go to Condition 1.9. Condition 1.9: no. So \\boxed{Case 77}"
    claimed = claimed_path(text, root, FirstError("invented condition", "1.9"))
    assert [step.node for step in claimed.steps] == ["1", "1.9", "Case 77"]
    svg = draw_tree(root, gold, no_image, claimed).svg
    assert svg.count("(not in this policy)") == 2
    assert "first error: invented condition" in re.sub("<[^>]+>", " ", svg)
    assert svg.count('class="ring"') == 1
    # A wrong answer elsewhere in the tree is a jump to a leaf, which is shown with all decisions above it.
    last = next(leaf for leaf in reversed(list(root.leaves())) if leaf.id != gold.steps[-1].node)
    wrong = Path((*gold.steps[:-1], Step(last.id)), error="wrong answer", error_at=last.id)
    svg = draw_tree(root, gold, no_image, wrong).svg
    assert "jump" in svg and last.name in svg


def test_a_first_error_that_is_at_no_node_is_below_the_root() -> None:
    root = to_draw(tree.sample(rng(0, "tree"), 2))
    for at in ("", "no such node"):
        svg = draw_tree(root, Path((Step("1"),)), no_image, Path(error="unparsed", error_at=at)).svg
        assert "first error: unparsed" in svg and "ring" not in svg


def test_endless_responses_are_cut() -> None:
    root = to_draw(tree.sample(rng(0, "tree"), 2))
    claimed = Path(tuple(Step(f"7.{number}") for number in range(10_000)))
    svg = draw_tree(root, Path((Step("1"),)), no_image, claimed).svg
    assert svg.count("not in this policy") == MAX_STEPS


def test_hostile_texts_are_escaped_everywhere() -> None:
    leaves = tuple((HOSTILE, Node(f"{HOSTILE}{n}", f"{HOSTILE}{n}", HOSTILE)) for n in range(20))
    inner = Node(f"a{HOSTILE}", HOSTILE, HOSTILE, "x.png", leaves)
    root = Node(HOSTILE, HOSTILE, HOSTILE, "x.png", ((HOSTILE, inner), (HOSTILE, Node("b", HOSTILE))))
    claimed = Path((Step(HOSTILE, HOSTILE), Step("unknown" + HOSTILE)), error=HOSTILE, error_at=HOSTILE)
    drawn = [
        draw_tree(
            root, Path((Step(HOSTILE, HOSTILE), Step("b"))), lambda _: Symbol("image-0", 9, 9), claimed
        ),
        draw_tree(root, Path((Step(HOSTILE, HOSTILE), Step("b", HOSTILE))), no_image),
        draw_picture(Symbol("image-0", 90, 60), [Mark(0, (1, 2, 30, 40), (HOSTILE,))], HOSTILE, enlarge=True),
    ]
    for drawing in drawn:
        ElementTree.fromstring(drawing.svg.encode())
        assert "<script" not in drawing.svg
    assert "<script" not in mark_text(HOSTILE * 2, [Mark(0, (0, 5), (HOSTILE,))])


def test_objects_of_a_scene_in_words_are_marked_where_they_are_named() -> None:
    kinds = [KINDS[3], KINDS[50], KINDS[3]]
    text = reasoning.description(kinds)
    places = places_in_text(text, kinds)
    assert [text[start:end] for start, end in places] == [f"a {kind}" for kind in kinds]
    marked = mark_text(text, [Mark(0, place, ("1", "1.1")) for place in places])
    assert marked.count("<mark ") == 3
    assert re.sub("<small>.*?</small>|<[^>]+>", "", marked) == text


@given(st.text(max_size=200), st.integers(40, 300), st.integers(1, 5))
def test_lines_fit_and_lose_no_word_unless_they_are_too_many(text: str, width: int, most: int) -> None:
    lines = list(wrap(text, 13, width, most))
    assert len(lines) <= most
    for line in lines:
        assert text_width(line, 13) <= width or len(line) == 1
    if not lines or not lines[-1].endswith("…"):
        assert "".join("".join(lines).split()) == "".join(text.split())


def test_many_branches_that_no_path_visits_share_rows() -> None:
    root = Node("r", "next call", "", "", tuple(("", Node(f"t{n}", f"tool {n}")) for n in range(20)))
    rows = outline(root, {"r", "t7"}, {"t7": [Line("note", "because")]})
    assert [row.node.name for row in rows] == ["next call", "7 others", "tool 7", "12 others"]
    assert len(folded_lines(rows[3].node)[1]) == 12


def test_boxes_of_scenes_without_boxes_overlap_the_objects(text_folder: FilePath) -> None:
    for line in (text_folder / "scenes.jsonl").read_text().splitlines():
        scene = json.loads(line)
        exact = clevr_json.boxes(scene)
        for item in scene["objects"]:
            del item["bbox"]
        for box, estimate in zip(exact, clevr_json.boxes(scene), strict=True):
            assert max(box[0], estimate[0]) < min(box[2], estimate[2])
            assert max(box[1], estimate[1]) < min(box[3], estimate[3])
