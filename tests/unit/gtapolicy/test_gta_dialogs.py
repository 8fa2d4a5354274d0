"""Multi-turn on GTAPolicy: what a dialog asks, what its calls receive, and how it is scored."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from gta_dialogs import write_dialogs
from hypothesis import given
from hypothesis import strategies as st

from gtapolicy.grading.calls import Call
from gtapolicy.grading.family import WRONG
from harness import variants
from harness.dialogs.dialog import MAX_WRONG, MULTI_TURN, Rollout, responses_in
from harness.errors import UserError
from harness.family import Outcome
from harness.files.benchmark import Benchmark
from harness.parsing import in_box
from harness.records import Instance
from harness.variants import INTERNALIZED, OVERRIDE, VARIANTS, Variant


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    return write_dialogs(tmp_path_factory.mktemp("dialogs") / "bench")


@pytest.fixture(scope="module")
def dialogs(bench: Benchmark) -> list[Instance]:
    return bench.instances("test" + MULTI_TURN)


def begin(bench: Benchmark, dialog: Instance, variant: Variant = INTERNALIZED) -> Rollout:
    return bench.dialogs.rollout(dialog, variants.target(dialog, variant) or dialog.target)


def call(text: str, **changed: object) -> str:
    """A response with the call in the text, some of whose arguments are changed."""
    gold = Call.from_json(text)
    return in_box(Call(gold.name, {**gold.arguments, **changed}).to_json())


def of_length(dialogs: list[Instance], steps: int) -> Instance:
    return next(d for d in dialogs if len(d.facts["steps"]) == steps)


def test_every_step_belongs_to_one_dialog(bench: Benchmark, dialogs: list[Instance]) -> None:
    steps = [step["id"] for dialog in dialogs for step in dialog.facts["steps"]]
    assert steps == [i.id for i in bench.instances("test")]
    assert {len(d.facts["steps"]) for d in dialogs} == {1, 2, 3}
    assert not {d.id for d in dialogs} & set(steps)


def test_questions_after_the_gold_calls_are_those_of_single_turn(bench: Benchmark, dialogs) -> None:
    """So both modes are comparable. This includes the later query of a user who asks again."""
    for dialog in dialogs:
        rollout = begin(bench, dialog)
        for step in rollout.steps:
            assert rollout.question == step
            rollout.respond(bench.family.gold(step, INTERNALIZED))
        assert rollout.solved
        assert [grade.value for grade in rollout.grades] == [1] * len(rollout.steps)


def test_under_the_override_the_history_has_the_models_own_versions(bench: Benchmark, dialogs) -> None:
    changed = 0
    for dialog in (d for d in dialogs if d.override is not None):
        rollout = begin(bench, dialog, OVERRIDE)
        rollout.play(lambda question: bench.family.gold(question, OVERRIDE))
        assert rollout.solved
        names = [Call.from_json(outcome.call).name for outcome in rollout.outcomes]
        changed += names != [Call.from_json(step.target).name for step in rollout.steps]
        assert [Call.from_json(target).name for target in rollout.targets] == names
    assert changed


def test_a_wrong_call_receives_an_error_and_is_asked_again(bench: Benchmark, dialogs) -> None:
    rollout = begin(bench, of_length(dialogs, 2))
    step = rollout.steps[0]
    wrong = {
        "another version": in_box(json.dumps({"name": "GoogleSearch_v9", "arguments": {"query": "x"}})),
        "another query": call(step.target, query="the price of a used bicycle"),
    }
    for text in wrong.values():
        assert rollout.respond(text).returned == WRONG
        assert rollout.question.id == step.id
    question = rollout.question.query[-1].value
    assert question.count(WRONG) == len(wrong)
    assert "GoogleSearch_v9" in question
    assert rollout.respond(call(step.target)).returned == step.facts["step"]["returned"]
    assert rollout.question.id == rollout.steps[1].id
    assert rollout.question.query[-1].value.count(WRONG) == len(wrong)


def test_a_call_in_other_words_gets_the_recorded_result(bench: Benchmark, dialogs) -> None:
    rollout = begin(bench, of_length(dialogs, 2))
    query = Call.from_json(rollout.answer).arguments["query"]
    assert rollout.respond(call(rollout.answer, query=f"{query}.".upper())).right
    assert rollout.respond(call(rollout.answer, expression="35 + 120")).right
    assert rollout.solved


@pytest.mark.parametrize("text", ["", "155", "\\boxed{155}"])
def test_a_dialog_ends_after_too_many_responses_without_a_call(bench: Benchmark, dialogs, text: str) -> None:
    dialog = of_length(dialogs, 3)
    rollout = begin(bench, dialog).play(lambda _: text)
    assert len(rollout.texts) == MAX_WRONG
    grade = bench.grade(dialog, dialog.target, rollout.transcript())
    assert (grade.value, grade.reason, grade.parts["completed"], grade.parts["call"]) == (0, "unparsed", 0, 0)


def test_the_score_is_the_final_state_and_the_parts_are_of_calls(bench: Benchmark, dialogs) -> None:
    """One wrong call, then all correct: solved, but not every call is right."""
    dialog = of_length(dialogs, 2)
    rollout = begin(bench, dialog)
    rollout.respond("")
    rollout.play(lambda question: bench.family.gold(question, INTERNALIZED))
    grade = bench.grade(dialog, dialog.target, rollout.transcript())
    assert (grade.value, grade.reason) == (1, None)
    assert (grade.parts["completed"], grade.parts["flawless"]) == (1, 0)
    assert grade.parts["call"] == grade.parts["tool"] == pytest.approx(2 / 3)
    # The first call alone.
    first = bench.grade(dialog, dialog.target, rollout.texts[1])
    assert (first.value, first.parts["completed"], first.parts["call"]) == (0, 0.5, 1)


def test_gold_transcripts_score_one(bench: Benchmark, dialogs) -> None:
    for variant in VARIANTS.values():
        for dialog in dialogs:
            target = variants.target(dialog, variant)
            if target is not None:
                grade = bench.grade(dialog, target, bench.dialogs.gold(dialog, variant))
                assert grade.value == grade.parts["flawless"] == 1


LINES = st.lists(
    st.sampled_from(["", "a", "--- returned ---", "--- turn 2 ---", ">--- returned ---", "> ", "\r"]),
    max_size=5,
).map("\n".join)


@given(st.lists(st.tuples(LINES, LINES), min_size=1, max_size=4))
def test_a_transcript_is_read_back_exactly(turns: list[tuple[str, str]]) -> None:
    rollout = Rollout.__new__(Rollout)
    rollout.texts = [text for text, _ in turns]
    rollout.outcomes = [Outcome("", returned, right=False) for _, returned in turns]
    assert responses_in(rollout.transcript()) == rollout.texts


def test_a_split_or_family_without_dialogs_is_refused(bench: Benchmark, mmlu_folder: Path) -> None:
    with pytest.raises(UserError, match=r"multi_turn: expected a split of dialogs such as test, got recall"):
        bench.parts("recall" + MULTI_TURN)
    with pytest.raises(UserError, match=r"multi_turn: expected a benchmark of dialogs, got one of mmlu-pro"):
        Benchmark(mmlu_folder).parts("test" + MULTI_TURN)


def test_dialogs_without_any_override_have_none(bench: Benchmark) -> None:
    steps = [replace(step, override=None) for step in bench.instances("test")]
    assert all(dialog.override is None for dialog in bench.dialogs.instances(steps))
