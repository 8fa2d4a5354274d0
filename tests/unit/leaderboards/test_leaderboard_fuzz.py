"""Damaged submissions: each is accepted or refused with a reason, and no attempt remains open."""

import json
import random
import shutil
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.records import Session
from harness.request import EvalRequest
from harness.run import evaluate
from leaderboards.pages.export import terminal
from leaderboards.storage.board import Boards
from leaderboards.storage.records import Outcome
from leaderboards.submit import submit

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-2, 3) | st.just(10**30),
    st.floats(-2, 2) | st.just(1e300),
    st.text(max_size=5) | st.sampled_from(["", "\0", "\x1b[31m", "\u202e", "hf:x", "internalized", "test"]),
    st.lists(st.text(max_size=2), max_size=2),
    st.dictionaries(st.text(max_size=2), st.none(), max_size=2),
)
FILES = ("run.json", "report.json", "scores.jsonl", "responses.jsonl", "sessions.jsonl")


@pytest.fixture(scope="module")
def run(rules_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs")
    evaluate(Benchmark(rules_folder), EvalRequest("random", variants="internalized"), folder / "own")
    replayed = EvalRequest(f"replay:{folder / 'own'}", variants="internalized")
    evaluate(Benchmark(rules_folder), replayed, folder / "run")
    # A replay has no sessions, but the run of a model does.
    store.write_lines(folder / "run" / "sessions.jsonl", [Session(requests=6, seconds=1.0)])
    return folder / "run"


def replaced(value: Any, new: Any, draw: random.Random) -> Any:
    """A copy of a JSON value in which one inner value, chosen at random, is another one."""
    if isinstance(value, dict | list) and value and draw.random() < 0.9:
        copy = value.copy()
        key = draw.choice(list(copy)) if isinstance(copy, dict) else draw.randrange(len(copy))
        copy[key] = replaced(copy[key], new, draw)
        return copy
    return new


@given(st.sampled_from(FILES), VALUES, st.randoms(use_true_random=False), st.booleans())
@settings(max_examples=40)
def test_a_damaged_run_never_leaves_an_open_attempt(
    run: Path, tmp_path_factory: pytest.TempPathFactory, file: str, new: Any, draw: random.Random, both: bool
) -> None:
    copy = Path(shutil.copytree(run, tmp_path_factory.mktemp("damaged") / "run"))
    lines = (copy / file).read_text().splitlines() if file.endswith("l") else [(copy / file).read_text()]
    number = draw.randrange(len(lines))
    lines[number] = json.dumps(replaced(json.loads(lines[number]), new, draw))
    (copy / file).write_text("\n".join(lines) + "\n")
    if both and file == "run.json":
        report = json.loads((copy / "report.json").read_text())
        (copy / "report.json").write_text(json.dumps(report | {"run": json.loads(lines[0])}))
    boards = Boards(copy.parent / "board", create=True)
    try:
        submit(boards, copy)
    except UserError as error:
        assert str(error)
    assert all(a.outcome != Outcome.BEGUN for a in boards.attempts())
    terminal(boards)
    boards.close()
