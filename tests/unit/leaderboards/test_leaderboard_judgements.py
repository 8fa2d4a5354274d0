"""Judgements on boards: their verdicts are complete and on this run, and their figures follow from them."""

import json
import random
import shutil
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from submissions import Json, edit, edit_lines

from harness import backends
from harness.backends import Sampling
from harness.files.benchmark import Benchmark
from harness.judge.config import JudgeRequest
from harness.judge.run import judge
from harness.records import Prompt, Response
from harness.request import EvalRequest
from harness.run import evaluate
from leaderboards.checks.submission import Refusal
from leaderboards.storage.board import Boards
from leaderboards.submit import SubmissionResult, submit

REQUEST = JudgeRequest("anthropic:judge", "paper", limit=8, repeats=2, sampling=Sampling(temperature=1.0))


class Judge:
    """Gives random scores, and one verdict that cannot be parsed."""

    batched = False
    description: Json = {}  # noqa: RUF012

    def generate(self, prompts: Sequence[Prompt]) -> Iterator[Response]:
        for number, prompt in enumerate(prompts):
            score = random.Random(f"{prompt.instance}{prompt.sample}").randint(0, 10)
            text = "No score." if number == 9 else f"Reasons.\nScore: \\boxed{{{score}}}"
            yield Response(*prompt.key, text=text, finish_reason="stop")


@pytest.fixture(scope="module")
def judged(text_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    out = folder / "judged"
    # The responses of a replay may be edited. Those of the oracle itself would be refused.
    evaluate(Benchmark(text_folder), EvalRequest("oracle", variants="internalized,override"), folder / "own")
    evaluate(
        Benchmark(text_folder), EvalRequest(f"replay:{folder / 'own'}", variants="internalized,override"), out
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backends, "make", lambda *_, **__: Judge())
        judge(out, REQUEST)
    return out


@pytest.fixture
def run(judged: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(judged, tmp_path / "judged"))


def submitted(run: Path) -> SubmissionResult:
    return submit(Boards(run.parent / "board", create=True), run)


def test_judgements_have_their_own_board(run: Path) -> None:
    result = submitted(run)
    judgement = json.loads(next(run.glob("judgement.*")).read_text())
    by_judge = {(b.key.variant, bool(b.key.judge)): (b, f) for b, f in result.entries}
    assert sorted(by_judge) == [("internalized", False), ("internalized", True), ("override", False)]
    board, figures = by_judge["internalized", True]
    assert figures.mean == pytest.approx(judgement["mean"] / 10)
    assert (figures.low, figures.high) == pytest.approx((judgement["low"] / 10, judgement["high"] / 10))
    assert figures.n == 8
    assert board.key.judge.startswith("anthropic:judge, paper setting, 8 responses, 2 repeats, ")
    assert by_judge["internalized", False][1].mean == 1
    boards = Boards(run.parent / "board")
    files = boards.stored_bundle(result.bundle).files
    assert {name.split(".")[0] for name in files} >= {"judgement", "verdicts"}


def test_a_run_may_have_several_judgements_by_one_judge(run: Path) -> None:
    """Each variant has its board, an old name is accepted, and a judgement of two variants is left out."""
    (run / REQUEST.file).rename(run / REQUEST.old_file)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backends, "make", lambda *_, **__: Judge())
        for chosen in ("override", "internalized,override"):
            judge(run, replace(REQUEST, variants=chosen))
    result = submitted(run)
    judged = [b.key.variant for b, _ in result.entries if b.key.judge]
    assert judged == ["internalized", "override"]
    assert len(result.left_out) == 1 and "is on several variants, and a board has one" in result.left_out[0]


def test_only_judged_responses_are_counted(run: Path) -> None:
    """The run has 12 unparsed responses, of which 8 were judged."""

    def spoil(lines: list[Json]) -> None:
        for line in lines:
            line.update(text=line["text"].replace("boxed", "box"), finish_reason="length")

    edit_lines(run / "responses.jsonl", spoil)
    for file in run.glob("*.*"):
        if file.name not in ("run.json", "responses.jsonl"):
            file.unlink()
    recorded = json.loads((run / "run.json").read_text())
    request = EvalRequest(recorded["model"], variants="internalized,override")
    evaluate(Benchmark(Path(recorded["benchmark"])), request, run)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(backends, "make", lambda *_, **__: Judge())
        judge(run, REQUEST)
    counts = {
        bool(b.key.judge): (f.n, f.unparsed, f.truncated)
        for b, f in submitted(run).entries
        if b.key.variant == "internalized"
    }
    assert counts == {False: (12, 12, 12), True: (8, 8, 8)}


def test_a_run_that_is_judged_later_keeps_its_entries(run: Path) -> None:
    files = {path: path.read_bytes() for path in (*run.glob("judgement.*"), *run.glob("verdicts.*"))}
    for path in files:
        path.unlink()
    submitted(run)
    for path, data in files.items():
        path.write_bytes(data)
    assert (judged := submitted(run)).stored
    boards = Boards(run.parent / "board").boards()
    assert [b.entries for b in boards] == [1, 1, 1]
    assert not any(b.legacy for b in boards)
    again = submitted(run)
    assert (again.stored, again.bundle) == (False, judged.bundle)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda j: j.update(mean=9.9), "the mean is 9.9 in the file"),
        (lambda j: j.update(mean=None), "the mean is None in the file"),
        (lambda j: j.update(model="hf:another"), "expected a judgement of the run's model and benchmark"),
        (lambda j: j.update(judge="anthropic:other"), "expected the name judgement."),
        (lambda j: j.update(judge="oracle"), "expected a language model"),
        (lambda j: j.update(variants="in_context"), "expected one variant of the run"),
        (lambda j: j.update(repeats=0), "repeats: expected 1..100"),
        (lambda j: j.update(limit=5), "expected the 5 responses of the random sample"),
        (lambda j: j["responses"].pop(), "expected the 8 responses of the random sample"),
        (lambda j: j["responses"][0].update(scores=[10.0, 10.0]), "scores do not follow from the verdicts"),
        (lambda j: j["responses"][0].update(prompt="0" * 64), "scores do not follow from the verdicts"),
    ],
)
def test_wrong_figures_are_refused(run: Path, change: Callable[[Json], Any], message: str) -> None:
    edit(next(run.glob("judgement.*")), change)
    with pytest.raises(Refusal) as refused:
        submitted(run)
    assert message in str(refused.value)


def test_a_missing_verdict_is_refused(run: Path) -> None:
    verdicts = next(run.glob("verdicts.*"))
    lines = verdicts.read_text().splitlines(keepends=True)
    verdicts.write_text("".join(lines[:-1]))
    with pytest.raises(
        Refusal, match="1 of 8 scores do not follow from the verdicts, or a verdict is missing"
    ):
        submitted(run)
    verdicts.unlink()
    with pytest.raises(Refusal, match="no such file"):
        submitted(run)


def test_verdicts_on_another_text_are_refused(run: Path) -> None:
    """The responses were changed after they were judged."""

    def reword(lines: list[Json]) -> None:
        for line in lines:
            line["text"] = line["text"].replace("Condition 1:", "Condition 1: as I said,")

    edit_lines(run / "responses.jsonl", reword)
    with pytest.raises(Refusal, match="8 of 8 scores do not follow"):
        submitted(run)


def fail(run: Path, count: int) -> str:
    """Makes the last verdicts failed requests, and returns the lines of all verdicts as they were."""
    verdicts = next(run.glob("verdicts.*"))
    before = verdicts.read_text()
    edit_lines(verdicts, lambda lines: [x.update(text=None, error="HTTP 429") for x in lines[-count:]])
    return before


@pytest.mark.parametrize(
    ("judge_name", "model"), [("hf:X", "vllm:X?a=b"), ("hf:./X", "hf:X"), ("hf:X", "external:X")]
)
def test_a_model_does_not_judge_itself_with_another_backend(run: Path, judge_name: str, model: str) -> None:
    edit(next(run.glob("judgement.*")), lambda j: j.update(judge=judge_name, model=model))
    for name in ("run.json", "report.json"):
        edit(run / name, lambda found: found.get("run", found).update(model=model))
    edit(run / "report.json", lambda report: report["backend"].update(backend=model.partition(":")[0]))
    with pytest.raises(Refusal, match="expected a judge other than the judged model"):
        submitted(run)


@pytest.mark.parametrize("count", [1, 16])
def test_a_judgement_with_failed_requests_waits(run: Path, count: int) -> None:
    """The run has its entries, and the judgement gets its own when it is complete."""
    verdicts = next(run.glob("verdicts.*"))
    complete = fail(run, count)
    result = submitted(run)
    assert [(b.key.variant, b.key.judge) for b, _ in result.entries] == [
        ("internalized", ""),
        ("override", ""),
    ]
    assert f"not on a board, because {count} requests to the judge failed; run the same" in result.left_out[0]
    boards = Boards(run.parent / "board")
    assert not [n for n in boards.stored_bundle(result.bundle).files if n.startswith(("judge", "verdict"))]
    verdicts.write_text(complete)
    result = submitted(run)
    assert (len(result.entries), result.left_out) == (3, ())


def test_the_name_of_a_judgement_cannot_control_the_terminal(run: Path) -> None:
    fail(run, 1)
    for path in [*run.glob("judgement.*"), *run.glob("verdicts.*")]:
        kind, digest, *rest = path.name.split(".")
        path.rename(path.with_name(".".join((kind, f"\x1b[31m{digest}", *rest))))
    (reason,) = submitted(run).left_out
    assert reason.startswith("judgement.\N{REPLACEMENT CHARACTER}[31m") and ".json: not on a board" in reason


def test_more_probes_are_no_reason_for_a_refusal(run: Path) -> None:
    more = {"a true response": 9.0, "another": None}
    edit(next(run.glob("judgement.*")), lambda j: j.update(probe_scores=more, later_field={"a": 1}))
    assert len(submitted(run).entries) == 3
