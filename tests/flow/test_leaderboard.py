"""The `leaderboard` command end to end, as a user runs it."""

import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import pytest
from forked import run_command

from harness.files.benchmark import Benchmark
from harness.request import EvalRequest
from harness.run import evaluate
from leaderboards.storage.board import Boards
from leaderboards.storage.bundles import SUBMISSIONS

BIN = Path(sys.executable).parent
leaderboard = partial(run_command, "leaderboard")


@pytest.fixture(scope="module")
def runs(text_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("runs")
    for model in ("oracle", "random", "majority"):
        evaluate(Benchmark(text_folder), EvalRequest(model), folder / model)
    return {model: folder / model for model in ("oracle", "random", "majority")}


def test_submit_show_export(runs: dict[str, Path], text_folder: Path, tmp_path: Path) -> None:
    board = tmp_path / "board"
    for run in runs.values():
        result = leaderboard("submit", run, "--board", board)
        assert result.returncode == 0, result.stderr
        assert result.stdout.count("n 12") == 3
        assert "stored: " in result.stdout
    again = leaderboard("submit", runs["oracle"], "--board", board, "--benchmark", text_folder)
    assert "already on the boards, not stored again" in again.stdout
    assert len(list((board / SUBMISSIONS).iterdir())) == 3

    shown = leaderboard("show", "--board", board)
    assert shown.stdout.count("oracle") == 6, "the model and the run on each of three boards"
    oracle = next(line for line in shown.stdout.splitlines() if " oracle " in line)
    assert oracle.split()[:4] == ["1", "oracle", "oracle", "100.0"]

    exported = leaderboard("export", tmp_path / "out", "--board", board)
    assert exported.returncode == 0, exported.stderr
    assert sorted({f.suffix for f in (tmp_path / "out").iterdir()}) == [".csv", ".html", ".json", ".md"]


def test_a_refusal_is_a_list_of_reasons(runs: dict[str, Path], tmp_path: Path) -> None:
    limited = tmp_path / "limited"
    benchmark = Benchmark(Path(json.loads((runs["oracle"] / "run.json").read_text())["benchmark"]))
    evaluate(benchmark, EvalRequest("oracle", limit=3), limited)
    result = leaderboard("submit", limited, "--board", tmp_path / "board")
    assert result.returncode == 2
    assert "Traceback" not in result.stderr
    assert "leaderboard: error: refused:\n- limit: expected a run of all instances" in result.stderr
    assert leaderboard("show", "--board", tmp_path / "board").stdout == "no entries yet\n"
    none = leaderboard("show", "--board", tmp_path / "none")
    assert (none.returncode, "submit a run first" in none.stderr) == (2, True)


@pytest.mark.parametrize(
    ("folder", "flags", "variants"),
    [
        ("mmlu_folder", (), ["internalized"]),
        ("text_folder", ("--split", "recall"), ["internalized", "in_context"]),
    ],
    ids=["general", "recall"],
)
def test_a_run_by_default_has_a_board_for_each_variant_with_prompts(
    folder: str, flags: tuple[str, ...], variants: list[str], request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """The columns forgetting and recall need such runs."""
    benchmark, run = request.getfixturevalue(folder), tmp_path / "run"
    evaluated = run_command("harness", "eval", benchmark, "--model", "oracle", "--out", run, *flags)
    assert evaluated.returncode == 0, evaluated.stderr
    submitted = leaderboard("submit", run, "--board", tmp_path / "board")
    assert submitted.returncode == 0, submitted.stderr
    assert [board.key.variant for board in Boards(tmp_path / "board").boards()] == variants


def test_three_submissions_at_the_same_time(runs: dict[str, Path], tmp_path: Path) -> None:
    command = [BIN / "leaderboard", "submit", "--board", tmp_path / "board"]
    chosen = [runs["oracle"], runs["random"], runs["oracle"]]
    processes = [subprocess.Popen([*command, run], stdout=subprocess.PIPE, text=True) for run in chosen]
    printed = [process.communicate(timeout=120)[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert "".join(printed).count("not stored again") == 1
    boards = Boards(tmp_path / "board")
    assert [b.entries for b in boards.boards()] == [2, 2, 2]
    assert len(boards.attempts()) == 3


@pytest.fixture
def served(runs: dict[str, Path], tmp_path: Path) -> Iterator[str]:
    leaderboard("submit", runs["random"], "--board", tmp_path / "board")
    command = [BIN / "leaderboard", "serve", "--board", tmp_path / "board", "--port", "0"]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    assert process.stdout is not None
    yield process.stdout.readline().split()[0]
    os.kill(process.pid, signal.SIGINT)
    assert process.wait(timeout=30) == 130


def test_serve_shows_later_submissions(served: str, runs: dict[str, Path], tmp_path: Path) -> None:
    def index() -> str:
        with urllib.request.urlopen(served, timeout=30) as page:
            return str(page.read().decode())

    assert served.startswith("http://127.0.0.1:")
    assert index().count('<td class="number">1</td>') == 3
    assert leaderboard("submit", runs["majority"], "--board", tmp_path / "board").returncode == 0
    assert index().count('<td class="number">2</td>') == 3
    second = leaderboard(
        "serve", "--board", tmp_path / "board", "--port", served.rstrip("/").rpartition(":")[2]
    )
    assert (second.returncode, "cannot listen on" in second.stderr) == (2, True)


def test_a_submission_killed_while_scoring_can_be_repeated(runs: dict[str, Path], tmp_path: Path) -> None:
    board = tmp_path / "board"
    process = subprocess.Popen([BIN / "leaderboard", "submit", runs["oracle"], "--board", board])
    while not (board / "board.sqlite").exists():
        time.sleep(0.01)
    process.kill()
    process.wait()
    assert leaderboard("submit", runs["oracle"], "--board", board).returncode == 0
    boards = Boards(board)
    assert [b.entries for b in boards.boards()] == [1, 1, 1]
    assert boards.attempts()[0].outcome in ("accepted", "known")
