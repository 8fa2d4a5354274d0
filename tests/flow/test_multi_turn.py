"""`harness eval --multi-turn`: scripted agents at their expected scores, resuming, failures, boards."""

import signal
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import pytest
from gta_dialogs import write_dialogs
from scoring import results_of

import harness
from gtapolicy.grading.calls import Call
from harness.backends import Backend, Sampling, failure
from harness.cli import eval_
from harness.dialogs.dialog import MAX_WRONG
from harness.dialogs.turns import Turn
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.files.store import Log, read_lines
from harness.metrics.turns import TURNS as TURNS_METRIC
from harness.parsing import in_box
from harness.records import MULTI_TURN, Prompt, Report, Response, Score
from harness.report.page import warnings
from harness.request import EvalRequest
from harness.run import evaluate
from harness.variants import INTERNALIZED, VARIANTS
from leaderboards.checks.submission import Refusal
from leaderboards.storage.board import Boards
from leaderboards.submit import submit

GREEDY = Sampling()


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    return write_dialogs(tmp_path_factory.mktemp("dialogs") / "bench")


class Scripted(Backend):
    """Responds with a function of the prompt, and records the prompts of each round."""

    def __init__(self, respond: Callable[[Prompt], str | None]) -> None:
        self.respond, self.description = respond, {"backend": "scripted"}
        self.rounds: list[Sequence[Prompt]] = []

    def generate(self, prompts: Sequence[Prompt]) -> Iterator[Response]:
        self.rounds.append(prompts)
        for prompt in prompts:
            text = self.respond(prompt)
            if text is None:
                yield failure(prompt, "no connection")
            else:
                yield Response(
                    *prompt.key, text=text, prompt_tokens=10, completion_tokens=5, batch=2, seconds=4.0
                )


def run(bench: Benchmark, out: Path, backend: Backend | None = None, model: str = "oracle") -> Report:
    return evaluate(bench, EvalRequest(model, GREEDY, multi_turn=True), out, backend)


def means(report: Report, label: str) -> dict[str, float | None]:
    return {row.variant: row.mean for row in report.rows if row.label == label and not row.group}


def gold(bench: Benchmark) -> Callable[[Prompt], str]:
    steps = {i.id: i for i in bench.instances("test")}
    return lambda prompt: bench.family.gold(steps[prompt.instance], VARIANTS[prompt.variant])


def test_the_oracle_has_100_percent_in_both_modes(bench: Benchmark, tmp_path: Path) -> None:
    every = dict.fromkeys(VARIANTS, 1.0)
    single = evaluate(bench, EvalRequest("oracle", GREEDY), tmp_path / "single")
    multi = run(bench, tmp_path / "multi")
    assert means(single, "accuracy") == means(multi, "accuracy") == every
    assert means(multi, "part: completed") == means(multi, "part: call") == every
    dialogs = len(bench.instances("test" + MULTI_TURN))
    rows = {r.variant: r.n for r in multi.rows if r.label == "accuracy" and not r.group}
    assert rows["internalized"] == rows["in_context"] == dialogs < len(bench.instances("test"))
    assert multi.run.split == "test multi-turn"
    assert multi.scorer != single.scorer
    page = (tmp_path / "multi" / "report.html").read_text(encoding="utf-8")
    assert "--- turn 2 ---" in page
    assert "recorded calls" in page


@pytest.mark.parametrize("model", ["random", "majority"])
def test_an_agent_without_answers_solves_nothing(bench: Benchmark, tmp_path: Path, model: str) -> None:
    report = run(bench, tmp_path / "run", model=model)
    assert means(report, "accuracy") == means(report, "part: call") == dict.fromkeys(VARIANTS, 0.0)
    assert all(row.unparsed == row.n for row in report.rows if row.label == "accuracy")
    # Its score is 0 by design, which the oracle's is not.
    assert any(w.startswith(f"{model} chooses from a list of possible answers") for w in warnings(report))
    assert "chooses from a list" not in " ".join(warnings(run(bench, tmp_path / "oracle")))


def test_a_constant_call_solves_the_dialogs_that_consist_of_it(bench: Benchmark, tmp_path: Path) -> None:
    """It is repeated after each error, so the other dialogs end at the third wrong call."""
    dialogs = bench.instances("test" + MULTI_TURN)
    constant = next(d for d in dialogs if len(d.facts["steps"]) == 1).facts["steps"][0]["target"]
    report = run(bench, tmp_path / "run", Scripted(lambda _prompt: in_box(constant)))
    alone = [[s["target"] for s in d.facts["steps"]] == [constant] for d in dialogs]
    assert means(report, "accuracy")["internalized"] == fmean(alone) > 0
    logged = read_lines(tmp_path / "run" / "turns.jsonl", Turn)
    turns = Counter(turn.dialog for turn in logged if turn.response.variant == "internalized")
    solved = {d.id for d, is_solved in zip(dialogs, alone, strict=True) if is_solved}
    for dialog in dialogs:
        first_is_right = bench.dialogs.rollout(dialog, dialog.target).respond(in_box(constant)).right
        expected = 1 if dialog.id in solved else MAX_WRONG + first_is_right
        assert turns[dialog.id] == expected


def test_the_baselines_of_the_report_play_whole_dialogs(bench: Benchmark, tmp_path: Path) -> None:
    report = run(bench, tmp_path / "run")
    for agent in ("nothing", "empty call"):
        assert means(report, f"baseline: {agent}") == dict.fromkeys(VARIANTS, 0.0)
    dialogs = bench.instances("test" + MULTI_TURN)
    first_versions = [
        all(Call.from_json(s["target"]).name in ("GoogleSearch_v1", "Calculator") for s in d.facts["steps"])
        for d in dialogs
    ]
    assert means(report, "baseline: always version 1")["internalized"] == fmean(first_versions)
    assert 0 < fmean(first_versions) < 1


def test_all_dialogs_advance_together(bench: Benchmark, tmp_path: Path) -> None:
    """One round per turn, and in a round no prompt twice; turns add up in the response of the dialog."""
    backend = Scripted(gold(bench))
    run(bench, tmp_path / "run", backend)
    dialogs = bench.instances("test" + MULTI_TURN)
    longest = max(len(d.facts["steps"]) for d in dialogs)
    assert len(backend.rounds) == longest
    for round_ in backend.rounds:
        assert len({prompt.key for prompt in round_}) == len(round_)
    for response in read_lines(tmp_path / "run" / "responses.jsonl", Response):
        dialog = next(d for d in dialogs if d.id == response.instance)
        turns = len(dialog.facts["steps"])
        assert (response.prompt_tokens, response.completion_tokens) == (10 * turns, 5 * turns)
        assert (response.seconds, response.batch) == (2.0 * turns, 1)


def test_turns_are_counted(bench: Benchmark) -> None:
    """A wrong call, then the correct ones."""
    instances = bench.instances("test" + MULTI_TURN)
    texts = []
    for dialog in instances:
        rollout = bench.dialogs.rollout(dialog, dialog.target)
        rollout.respond("")
        texts.append(rollout.play(lambda q: bench.family.gold(q, INTERNALIZED)).transcript())
    responses = [Response(d.id, "internalized", 0, text) for d, text in zip(instances, texts, strict=True)]
    rows = list(TURNS_METRIC.rows(results_of(bench, instances, responses)))
    recorded = fmean(len(d.facts["steps"]) for d in instances)
    found = {row.detail: row.mean for row in rows}  # type: ignore[union-attr]
    assert found == {"taken": recorded + 1, "recorded": recorded, "wrong calls": 1}
    single = bench.instances("test")[:2]
    of_steps = [Response(i.id, "internalized", 0, "") for i in single]
    assert list(TURNS_METRIC.rows(results_of(bench, single, of_steps))) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from harness.backends import Sampling
from harness.backends.scripted import Oracle
from harness.files.benchmark import Benchmark
from harness.request import EvalRequest
from harness.run import evaluate

bench, out, turns = Benchmark(Path(sys.argv[1])), Path(sys.argv[2]), int(sys.argv[3])

class Killed(Oracle):
    left = turns

    def answer(self, *args):
        Killed.left -= 1
        if Killed.left < 0:
            os.kill(os.getpid(), signal.SIGKILL)
        return super().answer(*args)

Killed.__name__ = "Oracle"
evaluate(bench, EvalRequest("oracle", Sampling(), multi_turn=True), out, Killed("", bench, Sampling()))
"""


def test_a_run_killed_with_kill_9_resumes_exactly(bench: Benchmark, tmp_path: Path) -> None:
    """No turn is asked twice, not even if the last line is incomplete, and the scores are the same."""
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    line = [sys.executable, "-c", KILLED, str(bench.folder), str(killed), "40"]
    assert subprocess.run(line, stderr=subprocess.DEVNULL, check=False).returncode == -signal.SIGKILL
    log = killed / "turns.jsonl"
    assert len(Log(log, Turn).read()) == 40
    log.write_bytes(log.read_bytes()[:-9])
    backend = Scripted(gold(bench))
    run(bench, killed, backend)
    run(bench, whole, again := Scripted(gold(bench)))
    asked = sum(map(len, again.rounds))
    assert sum(map(len, backend.rounds)) == asked - 39

    def scores(out: Path) -> dict[object, Score]:
        return {s.key: replace(s, values={}) for s in read_lines(out / "scores.jsonl", Score)}

    assert scores(killed) == scores(whole)
    turns = [(t.dialog, t.response.variant, t.number) for t in read_lines(log, Turn)]
    assert len(set(turns)) == len(turns) == asked


def test_a_failed_turn_fails_its_dialog_until_the_command_is_repeated(
    bench: Benchmark, tmp_path: Path
) -> None:
    answer = gold(bench)
    offline = Scripted(lambda prompt: None if prompt.instance.endswith("Ulm-1") else answer(prompt))
    report = run(bench, tmp_path / "run", offline)
    failed = {row.variant: row.errors for row in report.rows if row.label == "accuracy" and not row.group}
    assert failed["internalized"] == 2  # the dialogs of two and of three calls
    online = Scripted(answer)
    report = run(bench, tmp_path / "run", online)
    assert means(report, "accuracy") == dict.fromkeys(VARIANTS, 1.0)
    # The first turns were not asked again.
    assert all(prompt.instance.endswith("-1") for prompt in online.rounds[0])


def test_a_new_run_that_ends_in_its_second_round_keeps_its_turns(bench: Benchmark, tmp_path: Path) -> None:
    answer = gold(bench)

    def rejected(prompt: Prompt) -> str:
        if not prompt.instance.endswith("-0"):
            raise UserError("key rejected")
        return answer(prompt)

    with pytest.raises(UserError, match="key rejected"):
        run(bench, tmp_path / "run", Scripted(rejected))
    again = Scripted(answer)
    run(bench, tmp_path / "run", again)
    assert all(prompt.instance.endswith("-1") for prompt in again.rounds[0])


def test_with_samples_each_sample_is_a_dialog_of_its_own(bench: Benchmark, tmp_path: Path) -> None:
    answer = gold(bench)
    backend = Scripted(lambda prompt: answer(prompt) if prompt.sample else "")
    request = EvalRequest("oracle", Sampling(temperature=1), samples=2, multi_turn=True, limit=6)
    report = evaluate(bench, request, tmp_path / "run", backend)
    assert means(report, "accuracy")["in_context"] == 0.5
    assert means(report, "pass@k: k = 2")["in_context"] == 1
    assert means(report, "pass^k: k = 2")["in_context"] == 0


def test_an_exception_of_the_family_costs_one_dialog(
    bench: Benchmark, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    outcome = type(bench.family).outcome

    def broken(self: object, instance: object, target: str, text: str) -> object:
        if instance.id.endswith("two-test-Ulm-0"):  # type: ignore[attr-defined]
            raise ZeroDivisionError("broken")
        return outcome(self, instance, target, text)  # type: ignore[arg-type]

    monkeypatch.setattr(type(bench.family), "outcome", broken)
    run(bench, tmp_path / "run", Scripted(gold(bench)))
    failed = [r for r in read_lines(tmp_path / "run" / "responses.jsonl", Response) if r.error]
    assert {r.instance for r in failed} == {"GTA-Test-two-test-Ulm"}


def test_the_python_api_plays_a_function(bench: Benchmark) -> None:
    report = harness.evaluate(bench, respond=lambda _messages: "", multi_turn=True, variants="internalized")
    assert report.accuracy == {"internalized": 0.0}


def test_boards_refuse_it_in_one_sentence(bench: Benchmark, tmp_path: Path) -> None:
    run(bench, tmp_path / "run")
    with pytest.raises(Refusal) as refusal:
        submit(Boards(tmp_path / "boards", create=True), tmp_path / "run", str(bench.folder))
    (reason,) = refusal.value.reasons
    assert reason.startswith("multi_turn: a run with --multi-turn cannot be submitted")
    assert "submit a run of the same `harness eval` command without --multi-turn" in reason


def test_what_has_no_dialogs_is_refused_in_one_sentence(mmlu_folder: Path, tmp_path: Path) -> None:
    request = EvalRequest("oracle", GREEDY, multi_turn=True)
    with pytest.raises(UserError, match=r"^multi_turn: expected a benchmark of dialogs, got one of mmlu-pro"):
        eval_(str(mmlu_folder), request, out=tmp_path / "run")
    assert not (tmp_path / "run").exists()
    with pytest.raises(UserError, match=r"^split: .*use `harness eval --multi-turn`"):
        EvalRequest("oracle", GREEDY, split="test" + MULTI_TURN)
