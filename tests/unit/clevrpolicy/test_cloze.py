"""Questions in the middle of a chain of thought: what they show, and how their answers are graded."""

from pathlib import Path
from statistics import fmean

import pytest

from clevrpolicy.grading import cloze
from harness.backends import Sampling, make
from harness.backends.plain_prompt import WorkedExamples
from harness.errors import UserError
from harness.files.benchmark import CLOZE, Benchmark
from harness.records import Instance
from harness.request import EvalRequest
from harness.run import evaluate
from harness.variants import IN_CONTEXT, INTERNALIZED, prompt


@pytest.fixture(params=["text_folder", "visual_folder"])
def benchmark(request: pytest.FixtureRequest) -> Benchmark:
    return Benchmark(request.getfixturevalue(request.param))


def begun(instance: Instance) -> str:
    return instance.query[-1].value


def test_both_beginnings_are_pieces_of_the_gold_reasoning(benchmark: Benchmark) -> None:
    test = {instance.id: instance for instance in benchmark.instances("test")}
    questions = benchmark.instances(CLOZE)
    pairs = list(zip(questions[::2], questions[1::2], strict=True))
    assert pairs
    for on, off in pairs:
        own = test[on.id.partition("-cloze-")[0]]
        gold = benchmark.family.gold(own, INTERNALIZED)
        assert (on.facts["asked"], off.facts["asked"]) == (cloze.ON, cloze.OFF)
        assert begun(on) + on.facts["continuation"] == gold
        caption, _, last = begun(off).rpartition("\n")
        assert begun(on).startswith(f"{caption}\nCondition 1:")
        assert last == f"Condition {on.facts['condition']}:" == begun(on).rpartition("\n")[2]
        assert on.target not in begun(off).removeprefix(caption)
        assert on.query[:-1] == off.query[:-1] == own.query


def test_each_condition_but_the_first_is_asked_about_a_few_scenes(benchmark: Benchmark) -> None:
    test, questions = benchmark.instances("test"), benchmark.instances(CLOZE)
    visited = {(i.policy_id, condition) for i in test for condition in i.facts["path"][1:]}
    asked = [(i.policy_id, i.facts["condition"]) for i in questions if i.facts["asked"] == cloze.ON]
    assert set(asked) == visited
    assert max(map(asked.count, asked)) <= cloze.SCENES


def test_the_oracle_knows_everything_and_a_guess_is_at_chance(benchmark: Benchmark, tmp_path: Path) -> None:
    request = EvalRequest("oracle", variants="internalized", split=CLOZE)
    rows = {r.label: r for r in evaluate(benchmark, request, tmp_path / "oracle").rows if not r.group}
    assert {label: row.mean for label, row in rows.items() if label.startswith("part")} == {
        f"part: {cloze.ON}": 1.0,
        f"part: {cloze.OFF}": 1.0,
    }
    assert rows["accuracy"].chance == pytest.approx(1 / 15)
    questions = {instance.id: instance for instance in benchmark.instances(CLOZE)}
    prompts = [p for i in questions.values() if (p := prompt(i, INTERNALIZED, benchmark.policies))]
    values = [
        benchmark.grade(questions[r.instance], questions[r.instance].target, r.text or "").value or 0.0
        for seed in range(4000 // len(prompts))
        for r in make("random", benchmark, Sampling(seed=seed)).generate(prompts)
    ]
    # Four standard errors of about 4000 guesses.
    assert fmean(values) == pytest.approx(1 / 15, abs=0.016)


@pytest.mark.parametrize(
    ("text", "value", "reason"),
    [
        (" Is there a red object in the scene? No, none.", 1.0, None),
        (" Its picture shows the color RED. Is there a cube", 1.0, None),
        (" Is there a blue object among the red ones?", 0.0, None),
        (" Is there an object?\nCondition 1.1: Is there a red object", 0.0, "unparsed"),
        ("", 0.0, "unparsed"),
    ],
)
def test_the_first_value_on_the_line_counts(
    text_folder: Path, text: str, value: float, reason: str | None
) -> None:
    benchmark = Benchmark(text_folder)
    grade = benchmark.grade(benchmark.instances(CLOZE)[0], "red", text)
    assert (grade.value, grade.reason, grade.parts) == (value, reason, {cloze.ON: value})


def test_a_checkpoint_continues_the_beginning(text_folder: Path, checkpoint: Path) -> None:
    benchmark = Benchmark(text_folder)
    backend = make(f"hf:{checkpoint}", benchmark, Sampling(max_new_tokens=2))
    questions = benchmark.instances(CLOZE)[:2]
    prompts = [p for i in questions if (p := prompt(i, INTERNALIZED, benchmark.policies))]
    ids = backend.reader.read(prompts)["input_ids"]  # type: ignore[attr-defined]
    for instance, text in zip(questions, backend.processor.tokenizer.batch_decode(ids), strict=True):  # type: ignore[attr-defined]
        assert text.endswith(begun(instance))
    assert {response.key for response in backend.generate(prompts)} == {p.key for p in prompts}


def test_questions_are_found_sampled_and_shown_to_base_models(text_folder: Path, tmp_path: Path) -> None:
    benchmark = Benchmark(text_folder)
    questions = benchmark.instances(CLOZE)
    assert benchmark.find([questions[0].id]) == {questions[0].id: questions[0]}
    request = EvalRequest("oracle", variants="internalized", split=CLOZE, limit=3)
    assert evaluate(benchmark, request, tmp_path / "run").available == len(questions)
    prompts = [p for i in questions[:2] if (p := prompt(i, IN_CONTEXT, benchmark.policies))]
    assert [p.parts[-1].kind for p in WorkedExamples(benchmark).add(prompts)] == ["response"] * 2


def test_a_model_that_cannot_continue_is_refused(text_folder: Path, tmp_path: Path) -> None:
    request = EvalRequest("openai:any", variants="internalized", split=CLOZE)
    with pytest.raises(UserError, match="expected one that can continue a response"):
        evaluate(Benchmark(text_folder), request, tmp_path / "run")
