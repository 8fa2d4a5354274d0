"""Tool calls: which texts are parsed as a call, and how calls are scored."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gtapolicy.grading import calls
from gtapolicy.grading.calls import UNPARSED, Call, iou, parse_call, score_call
from gtapolicy.grading.check import check_citations
from gtapolicy.grading.error_analysis import first_error
from gtapolicy.policy import rules
from harness.parsing import in_box

TABLE = rules.load()
GOLD = Call("OCR_v3", {"image": "image/image_1.jpg"})
VALUES = {
    "image": st.just("image/image_3.jpg"),
    "bbox": st.tuples(*[st.integers(0, 99)] * 2, *[st.integers(100, 300)] * 2).map(str),
    "expression": st.sampled_from(["1 + 2", "round(3 / 7 * 100)", "math.sqrt(2)"]),
}


@st.composite
def gold_calls(draw) -> Call:
    """Any call that the table permits, with or without optional arguments."""
    tool = draw(st.sampled_from(TABLE.tools))
    kinds = {
        "int": st.integers(0, 20),
        "bool": st.booleans(),
        "text": st.text(st.characters(exclude_characters="<"), min_size=1),
        "image": VALUES["image"],
    }
    given = [a for a in tool.arguments if a.required or draw(st.booleans())]
    arguments = {a.name: draw(VALUES.get(a.name, kinds[a.type])) for a in given}
    return Call(draw(st.sampled_from(tool.callable_names)), arguments)


def response(call: Call) -> str:
    return "<think>so</think>" + in_box(call.to_json())


@given(gold_calls())
def test_a_gold_call_scores_one_against_itself(gold: Call) -> None:
    grade = score_call(parse_call(response(gold)), gold, TABLE)
    assert grade.value == 1
    assert set(grade.parts.values()) == {1.0}


@given(gold_calls(), gold_calls())
def test_parts_are_in_0_to_1_and_a_wrong_tool_sets_the_arguments_to_0(call: Call, gold: Call) -> None:
    parts = score_call(call, gold, TABLE).parts
    assert parts.keys() == {"tool", "arguments", "overall", "arguments_ungated", "base_type"}
    assert all(0 <= value <= 1 for value in parts.values())
    assert parts["overall"] == pytest.approx(0.5 * parts["tool"] + 0.5 * parts["arguments"])
    if call.name != gold.name:
        assert parts["arguments"] == parts["overall"] == 0
    assert parts["base_type"] >= parts["tool"]


def test_unparsed_empty_and_constant_answers_score_0() -> None:
    assert (UNPARSED.value, UNPARSED.reason) == (0, "unparsed")
    assert UNPARSED.parts.keys() == score_call(GOLD, GOLD, TABLE).parts.keys()
    assert score_call(Call("", {}), GOLD, TABLE).value == 0
    assert score_call(Call("OCR_v1", {"image": "image/image_1.jpg"}), GOLD, TABLE).value == 0


@pytest.mark.parametrize(
    ("arguments", "gold", "tool", "score"),
    [
        ({"query": "x"}, {"query": "x", "k": 10}, "GoogleSearch_v1", 1),
        ({"query": "x", "k": "4"}, {"query": "x", "k": 4}, "GoogleSearch_v1", 1),
        ({"query": "x", "k": 4.0}, {"query": "x", "k": 4}, "GoogleSearch_v1", 1),
        ({"query": "x", "k": True}, {"query": "x", "k": 1}, "GoogleSearch_v1", 0.5),
        ({"query": "x", "k": 4, "l": 1}, {"query": "x", "k": 4}, "GoogleSearch_v1", 2 / 3),
        ({"k": 4}, {"query": "x", "k": 4}, "GoogleSearch_v1", 0.5),
        ({"image": "a", "text": "t", "top1": "True"}, {"image": "a", "text": "t"}, "TextToBbox", 1),
        ({"image": "a", "text": "t", "top1": 1}, {"image": "a", "text": "t"}, "TextToBbox", 2 / 3),
        ({"image": "A", "text": "t"}, {"image": "a", "text": "t"}, "TextToBbox", 2 / 3),
        ({"image": "a", "bbox": [0, 0, 2, 2]}, {"image": "a", "bbox": "(0, 0, 2, 2)"}, "DrawBox", 1),
        ({"image": "a", "bbox": "2, 2, 0, 0"}, {"image": "a", "bbox": "(0, 0, 2, 2)"}, "DrawBox", 1),
        ({"image": "a", "bbox": "(0, 0, 2)"}, {"image": "a", "bbox": "(0, 0, 2, 2)"}, "DrawBox", 2 / 3),
        ({"image": "a", "bbox": "(0, 0, 1, 2)"}, {"image": "a", "bbox": "(0, 0, 2, 2)"}, "DrawBox", 5 / 6),
        ({"text": "t", "position": " TOP Left "}, {"text": "t", "position": "top left"}, "AddText", 1),
        ({"text": "t", "position": "(10.0,20)"}, {"text": "t", "position": "10, 20"}, "AddText", 1),
        ({"text": "t"}, {"text": "t", "color": "red"}, "AddText", 1),
        ({"expression": "2*3"}, {"expression": "6.0"}, "Calculator", 1),
        ({"expression": "1/0"}, {"expression": "1/0"}, "Calculator", 0),
        ({"expression": 6}, {"expression": "6.0"}, "Calculator", 1),
        ({"command": ""}, {"command": ""}, "Plot", 1),
        ({"command": ""}, {"command": "plot(x)"}, "Plot", 0),
    ],
)
def test_arguments(arguments, gold, tool: str, score: float) -> None:
    grade = score_call(Call(tool, arguments), Call(tool, gold), TABLE)
    assert grade.parts["arguments"] == pytest.approx(score)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "OCR_v3",
        r"\boxed{}",
        r'\boxed{{"name": "A", "arguments": {}}, {"name": "A", "arguments": {}}}',
        r'\boxed{[{"name": "OCR_v3", "arguments": {}}]}',
        r'\boxed{{"name": "OCR_v3"}}',
        r'\boxed{{"name": "OCR_v3", "arguments": {}, "score": 1}}',
        r'\boxed{{"name": 3, "arguments": {}}}',
        r'\boxed{{"name": "OCR_v3", "arguments": "image"}}',
        r'\boxed{{"name": "Calculator", "arguments": {"expression": NaN}}}',
        r'<think>\boxed{{"name": "OCR_v3", "arguments": {}}}',
        "[" * 100_000,
        "\\boxed{" + '{"a":' * 5000,
    ],
)
def test_a_text_without_exactly_one_call_is_unparsed(text: str) -> None:
    assert parse_call(text) is None
    assert score_call(parse_call(text), GOLD, TABLE) is UNPARSED


@pytest.mark.parametrize(
    "text",
    [
        r'\boxed{{"name": "A", "arguments": {}}} no, \boxed{{"name": "OCR_v3", "arguments": {"image": "i"}}}',
        '<think>hm</think>{"name": "OCR_v3", "arguments": {"image": "i"}}',
        '```json\n{"name": "OCR_v3", "arguments": {"image": "i"}}\n```',
    ],
)
def test_the_last_box_or_the_text_alone_is_the_call(text: str) -> None:
    assert parse_call(text) == Call("OCR_v3", {"image": "i"})


PROFILE = {"account_type": "A", "credits": 100, "age": 30}
OCR = '{"name": "OCR_v1", "arguments": {"image": "image/image_1.jpg"}}'
SOLVER = '{"name": "Solver", "arguments": {"command": "%s"}}'
SEARCH = '{"name": "GoogleSearch_v1", "arguments": {"query": "%s", "k": 3}}'
IMAGE = '"image/image_1.jpg"'


def nested(depth: int, opening: str = "[", closing: str = "]") -> str:
    return OCR.replace(IMAGE, opening * depth + "1" + closing * depth)


@pytest.mark.parametrize(
    ("text", "gold", "score"),
    [
        (in_box(OCR.replace("_", r"\_")), OCR, 1),
        (in_box(OCR.replace("_", r"\\_")), OCR, 1),
        (in_box(OCR.replace("{", r"\{").replace("}", r"\}")), OCR, 1),
        (in_box(OCR.replace("{", r"\{").replace("}", r"\}").replace("_", r"\_")), OCR, 1),
        (in_box(OCR.replace('{"image', r'\{"image').replace('"}}', r'"\}}')), OCR, 1),
        (in_box(OCR.replace(",", ",\n")), OCR, 1),
        (in_box(OCR) + r" I box it as \boxed{", OCR, 1),
        (in_box(OCR) + r' or \boxed{{"name": "OCR', OCR, 1),
        (in_box(rf"\texttt{{{OCR}}}"), OCR, 1),
        (rf"\boxed {{{OCR}}}", OCR, 1),
        (f"<|begin_of_box|>{OCR}<|end_of_box|>", OCR, 1),
        (f"<tool_call>\n{OCR}\n</tool_call>", OCR, 1),
        (f"<answer>{OCR}</answer>", OCR, 1),
        (f"[THINK]a[/THINK]{OCR}", OCR, 1),
        (in_box("\ufeff" + OCR.replace(" ", "\xa0")), OCR, 1),
        (in_box(OCR.replace(": ", "：").replace(", ", "，")), OCR, 1),
        (in_box(OCR.replace('{"', '{“').replace('"', "”")), OCR, 1),
        (in_box(SEARCH % "tallest tower\nin town"), SEARCH % "tallest tower in town", 1),
        (in_box(SEARCH % r"tallest tower\nin town"), SEARCH % "tallest tower in town", 1),
        (in_box(SEARCH % "50\\% of it\\'s \\#1"), SEARCH % "50% of it's #1", 1),
        *(
            (in_box(SOLVER % rf"solve {one}{{1}} = x"), SOLVER % rf"solve \{one}{{1}} = x", 1)
            for one in (r"\frac", r"\beta", r"\times", r"\theta", r"\nabla", r"\neq", r"\rho", r"\underline",
                        r"\ubar", r"\alpha", r"\sqrt")
        ),
        (in_box(OCR.replace(IMAGE, IMAGE + r', "\ud800": 1')), OCR, 0.75),
        (in_box(OCR.replace("_1.jpg", r"_1.jpg\ud800")), OCR, 1),
        (in_box(OCR.replace(IMAGE, IMAGE + ', "k": ' + "9" * 5000)), OCR, 0.75),
        (in_box(OCR.replace(IMAGE, "9" * 5000)), OCR, 0.5),
        *((in_box(nested(depth)), OCR, 0.5) for depth in (40, 60, 500, *range(985, 1000), 5000)),
        (in_box(nested(991, '{"a":', "}")), OCR, 0.5),
        (in_box(OCR.replace("_v1", "_v2")), OCR, 0),
        (in_box(f"{OCR} {OCR}"), OCR, 0),
        (in_box(f"{OCR}, {OCR}"), OCR, 0),
        (in_box(OCR) + " no, " + in_box("none"), OCR, 0),
        (f"<think>{in_box(OCR)}", OCR, 0),
    ],
)  # fmt: skip
def test_a_call_is_read_as_it_was_meant(text: str, gold: str, score: float) -> None:
    correct = Call.from_json(gold)
    assert score_call(parse_call(text), correct, TABLE).value == score
    label = first_error(text, correct, {"history": [], "profile": PROFILE}, TABLE)
    assert (label is None) == (score == 1)
    json.dumps(label).encode()
    (label or "").encode()


@pytest.mark.parametrize(
    "piece", ["\\", '"', '\\"', "{", "[", "}", '{"a":', "\\{", "\\_", "\\boxed{", "<answer>", "9", "'"]
)
def test_a_hostile_text_is_read_in_linear_time(piece: str) -> None:
    text = piece * (100_000 // len(piece))
    for hostile in (text, in_box(text), in_box(SEARCH % text), in_box(OCR.replace(IMAGE, text))):
        score_call(parse_call(hostile), GOLD, TABLE)
        check_citations(hostile, TABLE)


boxes = st.tuples(*[st.floats(-100, 100)] * 4)


@given(boxes, boxes)
def test_iou_is_symmetric_and_bounded(one, other) -> None:
    a, b = calls.parse_box(str(one)), calls.parse_box(list(other))
    assert 0 <= iou(a, b) <= 1
    assert iou(a, b) == pytest.approx(iou(b, a))
    if a is not None and (a[2] - a[0]) * (a[3] - a[1]) > 0:
        assert iou(a, a) == pytest.approx(1)


@pytest.mark.parametrize(
    "value", ["(1, 2, 3)", "a, b, c, d", "(nan, 0, 1, 1)", [1, 2, True, 4], None, 5, "1e999,0,1,1"]
)
def test_a_value_that_is_not_a_box_has_no_overlap(value) -> None:
    assert iou(calls.parse_box(value), (0, 0, 1, 1)) == 0
