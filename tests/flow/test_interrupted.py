"""Killed at any moment, the same command goes on and ends as if nothing had happened."""

import os
import signal
import time
from contextlib import suppress
from pathlib import Path

import pytest
from forked import start_command

from harness.files.benchmark import Benchmark
from harness.files.store import Log, read_json
from harness.records import Report, Response
from harness.seeds import rng

SIZES = {"depth": 3, "policies": 2, "train": 8, "test": 8, "width": 160, "height": 112}
GENERATE = ["--visual", *(word for name, n in SIZES.items() for word in (f"--{name}", str(n)))]


def run(line: list[str | Path], log: Path, stop_after: int | None, how: int = signal.SIGKILL) -> int | None:
    """Runs a command; with stop_after, sends it a signal once its log has so many lines."""
    process = start_command(*line)
    while stop_after is not None and process.is_alive():
        if log.exists() and log.read_bytes().count(b"\n") >= stop_after:
            with suppress(ProcessLookupError):  # it may have ended just now
                os.kill(process.pid or 0, how)
            break
        time.sleep(0.01)
    process.join(120)
    return process.exitcode


def generate(out: Path, workers: int, stop_after: int | None = None, how: int = signal.SIGKILL) -> int | None:
    line = ["clevrpolicy", "generate", out, *GENERATE, "--workers", str(workers)]
    return run(line, out / ".progress.jsonl", stop_after, how)


def pids_in_session(leader: int | None) -> list[int]:
    found = []
    for stat in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = stat.read_text().rpartition(")")[2].split()
        except OSError:
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(int(stat.parent.name))
    return found


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Benchmark:
    out = tmp_path_factory.mktemp("undisturbed") / "bench"
    assert generate(out, workers=1) == 0
    return Benchmark(out)


@pytest.mark.parametrize(
    ("workers", "stops"),
    [
        (1, {1: signal.SIGKILL, 9: signal.SIGKILL}),
        (2, {3: signal.SIGKILL, 5: signal.SIGINT, 20: signal.SIGKILL}),
    ],
)
def test_generate_after_kill_9_or_ctrl_c(
    tmp_path: Path, undisturbed: Benchmark, workers: int, stops: dict[int, signal.Signals]
) -> None:
    out = tmp_path / "bench"
    for stop_after, how in stops.items():
        assert generate(out, workers, stop_after, how) == (130 if how is signal.SIGINT else -signal.SIGKILL)
        assert not (out / "manifest.json").exists()
    progress = out / ".progress.jsonl"
    progress.write_bytes(progress.read_bytes()[:-7])
    assert generate(out, workers) == 0
    made = Benchmark(out)
    assert made.manifest == undisturbed.manifest
    assert not list(out.rglob(".*"))


def test_workers_go_when_their_parent_is_killed(tmp_path: Path) -> None:
    out = tmp_path / "bench"
    process = start_command("clevrpolicy", "generate", out, *GENERATE, "--workers", "2")
    progress = out / ".progress.jsonl"
    while not (progress.exists() and progress.stat().st_size):
        time.sleep(0.02)
    assert len(pids_in_session(process.pid)) >= 3
    process.kill()
    process.join()
    deadline = time.monotonic() + 20
    while pids_in_session(process.pid) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert pids_in_session(process.pid) == []


def test_eval_after_kill_9_loses_at_most_a_batch(text_folder: Path, checkpoint: Path, tmp_path: Path) -> None:
    line = ["harness", "eval", text_folder, "--model", f"hf:{checkpoint}"]
    line += ["--max-new-tokens", "8", "--batch-size", "2", "--out"]
    undisturbed, out = tmp_path / "undisturbed", tmp_path / "killed"
    assert run([*line, undisturbed], undisturbed, None) == 0
    answered = 0
    for kill_after in (3, 12, 25):
        run([*line, out], out / "responses.jsonl", kill_after)
        answered = max(answered, len(Log(out / "responses.jsonl", Response).read()))
        assert answered >= kill_after
    assert run([*line, out], out, None) == 0
    whole, killed = (Log(folder / "responses.jsonl", Response).read() for folder in (undisturbed, out))
    assert len(killed) == len(whole) == 36
    assert {r.key: r.text for r in killed} == {r.key: r.text for r in whole}
    reports = [read_json(folder / "report.json", Report) for folder in (undisturbed, out)]
    assert reports[0].rows == reports[1].rows
    for check in (reports[0].batch_check, reports[1].batch_check):
        assert check is not None
        assert (check.asked, check.differ) == (16, 0)
        assert check.prefill_seconds.keys() == {"internalized", "in_context", "override"}


def test_twenty_kills_at_random_moments_leave_no_trace(text_folder: Path, tmp_path: Path) -> None:
    line = ["harness", "eval", text_folder, "--model", "random", "--variants", "internalized"]
    line += ["--samples", "2000", "--temperature", "1", "--out"]
    undisturbed, out = tmp_path / "undisturbed", tmp_path / "killed"
    assert run([*line, undisturbed], undisturbed, None) == 0
    moments, log = rng(0, "kills"), Log(out / "responses.jsonl", Response)
    ends = []
    for _ in range(20):
        begun = len(log.read())
        ends.append(run([*line, out], log.path, stop_after=begun + moments.randint(1, 400)))
    assert ends.count(-signal.SIGKILL) >= 10  # on a busy machine the last of them come too late
    assert run([*line, out], out, None) == 0
    reports = [read_json(folder / "report.json", Report) for folder in (undisturbed, out)]
    assert reports[0].rows == reports[1].rows
    whole, killed = (Log(folder / "responses.jsonl", Response).read() for folder in (undisturbed, out))
    assert len({r.key for r in killed}) == len(killed) == len(whole) == 24_000
    assert {r.key: r.text for r in killed} == {r.key: r.text for r in whole}
