"""`harness eval --replicas`: the responses and the report of one process, even if processes are killed."""

import multiprocessing
import os
import signal
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from forked import start_command
from test_interrupted import pids_in_session

from harness.backends import Sampling
from harness.engine import EngineConfig
from harness.errors import UserError
from harness.files.benchmark import Benchmark
from harness.files.store import Log, read_json
from harness.records import Report, Response
from harness.request import EvalRequest
from harness.run import evaluate


def request_for(checkpoint: Path) -> EvalRequest:
    sampling = Sampling(max_new_tokens=16, batch_size=2, temperature=1.0)
    return EvalRequest(f"hf:{checkpoint}", sampling, samples=2)


@pytest.fixture(scope="module")
def undisturbed(text_folder: Path, checkpoint: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process."""
    out = tmp_path_factory.mktemp("runs") / "one"
    evaluate(Benchmark(text_folder), request_for(checkpoint), out)
    return out


def check_equal(out: Path, undisturbed: Path) -> None:
    """No response is lost, duplicated or another one, and neither are the figures."""
    ours, theirs = (Log(run / "responses.jsonl", Response).read() for run in (out, undisturbed))
    assert len(ours) == len(theirs) == 72
    assert {r.key: r.text for r in ours} == {r.key: r.text for r in theirs}
    report, expected = (read_json(run / "report.json", Report) for run in (out, undisturbed))
    assert (report.run, report.backend, report.rows) == (expected.run, expected.backend, expected.rows)
    assert report.batch_check is not None
    assert (report.batch_check.asked, report.batch_check.differ) == (16, 0)


def test_a_replica_that_is_killed_costs_nothing(
    text_folder: Path, checkpoint: Path, undisturbed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"

    def kill() -> None:
        while not (out / "responses.jsonl").exists() or not (out / "responses.jsonl").stat().st_size:
            time.sleep(0.01)
        victim = multiprocessing.active_children()[0]
        os.kill(victim.pid or 0, signal.SIGKILL)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    evaluate(Benchmark(text_folder), replace(request_for(checkpoint), replicas=2), out)
    assert "a process died and is replaced" in capsys.readouterr().err
    assert multiprocessing.active_children() == []
    check_equal(out, undisturbed)


def test_a_killed_command_leaves_no_replica_and_resumes(
    text_folder: Path, checkpoint: Path, undisturbed: Path, tmp_path: Path
) -> None:
    out, responses = tmp_path / "run", tmp_path / "run" / "responses.jsonl"
    flags = "--max-new-tokens 16 --batch-size 2 --temperature 1 --samples 2 --replicas 2".split()
    process = start_command(
        "harness", "eval", text_folder, "--model", f"hf:{checkpoint}", "--out", out, *flags
    )
    while not responses.exists() or not responses.stat().st_size:
        assert process.is_alive()
        time.sleep(0.01)
    process.kill()
    process.join()
    assert 0 < len(Log(responses, Response).read()) < 72
    while pids_in_session(process.pid):
        time.sleep(0.1)
    # The number of replicas may be another one, here none.
    evaluate(Benchmark(text_folder), request_for(checkpoint), out)
    check_equal(out, undisturbed)


@pytest.mark.parametrize(
    ("model", "fields", "message"),
    [
        ("openai:x", {"replicas": 2}, "replicas: .*got openai:x; .*--concurrency .*--data-parallel-size"),
        ("majority", {"replicas": 2}, "replicas: expected only with hf:PATH or vllm:PATH, got majority"),
        ("hf:x", {"replicas": 0}, "replicas: expected 1 or more, got 0"),
        ("hf:x", {"processes": EngineConfig("ray")}, "replicas: expected a number with --engine ray"),
    ],
)
def test_replicas_that_do_not_fit_are_refused(model: str, fields, message: str) -> None:
    with pytest.raises(UserError, match=message):
        EvalRequest(model, **fields)
