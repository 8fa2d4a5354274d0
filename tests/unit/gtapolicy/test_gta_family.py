"""GTAPolicy in the harness: citations, faults, recall, and dummy agents that score what they should."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gtapolicy.dataset.dialogs import Step
from gtapolicy.dataset.instances import target_call
from gtapolicy.grading import check, error_analysis
from gtapolicy.grading.baselines import _typical
from gtapolicy.grading.calls import Call
from gtapolicy.grading.family import GtaRecall
from gtapolicy.policy import override, reasoning, rules
from harness.files.benchmark import Benchmark
from harness.parsing import in_box
from harness.run import EvalRequest, evaluate
from harness.seeds import rng

TABLE = rules.load()
PROFILE = {"account_type": "B", "credits": 400, "age": 30}
STEP = Step("OCR", {"image": "image/image_1.jpg"}, "TOTAL 12", origins={"image": "the list of images"})
GOLD = reasoning.gold(TABLE, PROFILE, STEP, 0)
FACTS = {"profile": PROFILE, "history": [reasoning.as_json(Call("ImageDescription_v3", {"image": "a"}))]}


def test_gold_reasoning_cites_its_rule_truly() -> None:
    (claim,) = check.cited(TABLE, GOLD)
    assert (claim.rule, claim.exists, dict(claim.parts)) == ("OCR_v4", True, {"condition": True})
    assert error_analysis.first_fault(TABLE, FACTS, Call("OCR_v4", STEP.arguments), GOLD) is None


def test_a_misquoted_and_an_invented_rule_are_false_claims() -> None:
    text = "If credits is above 300, use OCR_v4. OCR_v9 also exists. If age is below 21, use GoogleSearch_v1."
    found = {claim.rule: claim for claim in check.cited(TABLE, text)}
    assert dict(found["OCR_v4"].parts) == {"condition": False}
    assert dict(found["GoogleSearch_v1"].parts) == {"condition": True}
    assert not found["OCR_v9"].exists


def test_a_replaced_rule_is_judged_by_the_table_that_governs() -> None:
    replaced = override.overridden(TABLE, rng(0, "o"))
    (claim,) = check.cited(replaced, GOLD)
    assert dict(claim.parts) == {"condition": False}


@pytest.mark.parametrize(
    ("call", "fault"),
    [
        (None, "unparsed"),
        (Call("ImageDescription_v3", {"image": "a"}), "history ignored"),
        (Call("GoogleSearch_v1", {"query": "x"}), "wrong tool"),
        (Call("OCR_v3", STEP.arguments), "wrong version: account_type misread"),
        (Call("OCR_v5", STEP.arguments), "wrong version: credits misread"),
        (Call("OCR_v1", STEP.arguments), "wrong version: credits misread"),
        (Call("OCR_v7", STEP.arguments), "unknown version"),
        (Call("OCR_v4", {}), "missing argument: image"),
        (Call("OCR_v4", {**STEP.arguments, "language": "en"}), "unknown argument: language"),
        (Call("OCR_v4", {"image": "image/image_2.jpg"}), "wrong argument: image"),
        (Call("OCR_v4", STEP.arguments), None),
    ],
)
def test_the_first_fault_is_named(call: Call | None, fault: str | None) -> None:
    text = "I do not know" if call is None else in_box(reasoning.as_json(call))
    assert error_analysis.first_fault(TABLE, FACTS, Call("OCR_v4", STEP.arguments), text) == fault


@pytest.mark.parametrize(
    ("said", "value", "parts"),
    [
        (
            "credits is above 250 and at most 750, and account_type is A or B",
            1,
            {"credits": 1, "account_type": 1},
        ),
        (
            "account_type is A or B, and credits is above 250 and at most 750.",
            1,
            {"credits": 1, "account_type": 1},
        ),
        (
            r"\text{If Credits is above 250 and at most 750, and account_type is b, or A.}",
            1,
            {"credits": 1, "account_type": 1},
        ),
        (
            "credits is above 250 and at most 750, and account_type is A, B or C",
            0,
            {"credits": 1, "account_type": 0},
        ),
        ("credits is above 250, and account_type is A or B", 0, {"credits": 0, "account_type": 1}),
        ("credits is above 250 and at most 750", 0, {"credits": 1, "account_type": 0}),
        ("nothing", 0, {"credits": 0, "account_type": 0}),
    ],
)
def test_recall_is_exact_by_field(
    said: str, value: float, parts: dict[str, float], rules_folder: Path
) -> None:
    target = "credits is above 250 and at most 750, and account_type is A or B"
    instance = Benchmark(rules_folder).instances("recall")[0]
    grade = GtaRecall(Benchmark(rules_folder)).grade(instance, target, in_box(said))
    assert (grade.value, dict(grade.parts)) == (value, parts)


def test_the_most_frequent_call_is_made_of_the_most_frequent_name_and_values(
    rules_folder: Path, tmp_path: Path
) -> None:
    given = [{"query": "a", "k": 4}, {"query": "b"}, {"query": "b", "k": 4}, {"query": "c"}, {"query": "d"}]
    calls = [Call("OCR_v1", {"image": "i"}), *(Call("GoogleSearch_v2", arguments) for arguments in given)]
    assert _typical(calls) == Call("GoogleSearch_v2", {"query": "b"})
    report = evaluate(Benchmark(rules_folder), EvalRequest("random"), tmp_path / "run")
    scores = {row.label: row.mean for row in report.rows if row.variant == "internalized" and not row.group}
    assert scores["accuracy"] == scores["baseline: empty call"] == 0
    assert 0 < scores["baseline: most frequent call"] < scores["baseline: always version 1"]


def test_targets_are_calls_with_texts_as_they_are() -> None:
    call = Call("GoogleSearch_v3", {"query": 'é "quoted" {x}', "k": 4})
    assert target_call(reasoning.as_json(call)) == call
    assert json.loads(reasoning.as_json(call))["arguments"]["k"] == 4
