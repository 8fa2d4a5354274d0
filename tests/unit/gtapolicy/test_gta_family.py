"""The families of GTAPolicy: cited rules, first errors, recall questions and baselines."""

import json
from pathlib import Path

import pytest

from gtapolicy.dataset.dialogs import Step
from gtapolicy.grading.baselines import _most_frequent
from gtapolicy.grading.calls import Call
from gtapolicy.grading.check import check_citations
from gtapolicy.grading.error_analysis import first_error
from gtapolicy.grading.family import GtaRecall
from gtapolicy.policy import reasoning, rules, wording
from gtapolicy.policy.override import make_override
from harness.files.benchmark import Benchmark
from harness.parsing import in_box
from harness.records import Grade
from harness.request import EvalRequest
from harness.run import evaluate
from harness.seeds import rng

TABLE = rules.load()
PROFILE = {"account_type": "B", "credits": 400, "age": 30}
STEP = Step("OCR", {"image": "image/image_1.jpg"}, "TOTAL 12", origins={"image": "the list of images"})
GOLD = reasoning.gold(TABLE, PROFILE, STEP, 0)
FACTS = {"profile": PROFILE, "history": [Call("ImageDescription_v3", {"image": "a"}).to_json()]}


def test_gold_reasoning_quotes_an_exclusion_as_the_policy_does() -> None:
    gold = reasoning.gold(TABLE, PROFILE, Step("MathOCR", {"image": "image/image_1.jpg"}, "x"), 0)
    sentence = "If the image holds mathematical expressions, use MathOCR, whatever the profile."
    assert sentence in gold and sentence in wording.policy_text(TABLE, "GTA-Test")


def test_gold_reasoning_cites_its_rule_correctly() -> None:
    (cited,) = check_citations(GOLD, TABLE)
    assert (cited.rule, cited.exists, dict(cited.parts)) == ("OCR_v4", True, {"condition": True})
    assert first_error(GOLD, Call("OCR_v4", STEP.arguments), FACTS, TABLE) is None


def test_misquoted_and_invented_rules_are_false() -> None:
    text = "If credits is above 300, use OCR_v4. OCR_v9 also exists. If age is below 21, use GoogleSearch_v1."
    cited = {rule.rule: rule for rule in check_citations(text, TABLE)}
    assert dict(cited["OCR_v4"].parts) == {"condition": False}
    assert dict(cited["GoogleSearch_v1"].parts) == {"condition": True}
    assert not cited["OCR_v9"].exists


@pytest.mark.parametrize(
    ("condition", "correct"),
    [
        ("account_type is A or B", True),
        ("account_type is B or A", True),
        ("Account_type is a, or b", True),
        ("account_type is **A** or **B**", True),
        ("account_type is A, B or C", False),
        ("account_type is A", False),
    ],
)
def test_the_case_and_the_order_of_the_values_of_a_cited_rule_do_not_matter(
    condition: str, correct: bool
) -> None:
    text = f"If {condition}, use RegionAttributeDescription_v2."
    (cited,) = check_citations(text, TABLE)
    assert dict(cited.parts) == {"condition": correct}


def test_a_rule_is_checked_against_the_table_that_governs() -> None:
    (cited,) = check_citations(GOLD, make_override(TABLE, rng(0, "o")))
    assert dict(cited.parts) == {"condition": False}


@pytest.mark.parametrize(
    ("call", "label"),
    [
        (None, "unparsed"),
        (Call("ImageDescription_v3", {"image": "a"}), "repeated call"),
        (Call("GoogleSearch_v1", {"query": "x"}), "wrong tool"),
        (Call("OCR_v3", STEP.arguments), "wrong version: account_type"),
        (Call("OCR_v5", STEP.arguments), "wrong version: credits"),
        (Call("OCR_v1", STEP.arguments), "wrong version: credits"),
        (Call("OCR_v7", STEP.arguments), "unknown version"),
        (Call("OCR_v4", {}), "missing argument: image"),
        (Call("OCR_v4", {**STEP.arguments, "language": "en"}), "unknown argument: language"),
        (Call("OCR_v4", {"image": "image/image_2.jpg"}), "wrong argument: image"),
        (Call("OCR_v4", STEP.arguments), None),
    ],
)
def test_first_error(call: Call | None, label: str | None) -> None:
    text = "I do not know" if call is None else in_box(call.to_json())
    assert first_error(text, Call("OCR_v4", STEP.arguments), FACTS, TABLE) == label


@pytest.mark.parametrize(
    ("condition", "credits", "account_type"),
    [
        ("credits is above 250 and at most 750, and account_type is A or B", 1, 1),
        ("account_type is A or B, and credits is above 250 and at most 750.", 1, 1),
        (r"\text{If Credits is above 250 and at most 750, and account_type is b, or A.}", 1, 1),
        ("credits is above 250 and at most 750, and account_type is A, B or C", 1, 0),
        ("credits is above 250, and account_type is A or B", 0, 1),
        ("credits is above 250 and at most 750", 1, 0),
        ("credits is above " + "9" * 5000, 0, 0),
        ("nothing", 0, 0),
        (r"\text{credits is above 250 and at most 750, and account\_type is A or B}", 1, 1),
    ],
)
def test_recall_is_graded_by_field(
    condition: str, credits: float, account_type: float, rules_folder: Path
) -> None:
    target = "credits is above 250 and at most 750, and account_type is A or B"
    instance = Benchmark(rules_folder).instances("recall")[0]
    grade = GtaRecall(Benchmark(rules_folder)).grade(instance, target, in_box(condition))
    assert dict(grade.parts) == {"credits": credits, "account_type": account_type}
    assert grade.value == credits * account_type


def test_an_answer_to_recall_that_is_not_parsed_has_every_field_wrong(rules_folder: Path) -> None:
    target = "credits is above 250 and at most 750, and account_type is A or B"
    instance = Benchmark(rules_folder).instances("recall")[0]
    grade = GtaRecall(Benchmark(rules_folder)).grade(instance, target, "I do not know")
    assert grade == Grade(0.0, "unparsed", {"credits": 0.0, "account_type": 0.0})


def test_the_most_frequent_call_has_the_most_frequent_name_and_values(
    rules_folder: Path, tmp_path: Path
) -> None:
    given = [{"query": "a", "k": 4}, {"query": "b"}, {"query": "b", "k": 4}, {"query": "c"}, {"query": "d"}]
    calls = [Call("OCR_v1", {"image": "i"}), *(Call("GoogleSearch_v2", arguments) for arguments in given)]
    assert _most_frequent(calls) == Call("GoogleSearch_v2", {"query": "b"})
    report = evaluate(Benchmark(rules_folder), EvalRequest("random"), tmp_path / "run")
    scores = {row.label: row.mean for row in report.rows if row.variant == "internalized" and not row.group}
    assert scores["accuracy"] == scores["baseline: empty call"] == 0
    assert 0 < scores["baseline: most frequent call"] < scores["baseline: always version 1"]


def test_calls_are_written_as_json_and_parsed_again() -> None:
    call = Call("GoogleSearch_v3", {"query": 'é "quoted" {x}', "k": 4})
    assert Call.from_json(call.to_json()) == call
    assert json.loads(call.to_json())["arguments"]["k"] == 4
