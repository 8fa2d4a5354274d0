"""A sweep on a Ray cluster of which a node dies."""

import threading
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from harness.engine import EngineConfig
from harness.files.store import Log, read_json
from harness.records import Response
from training.sweep import grid
from training.sweep.records import Outcome
from training.sweep.run import run_sweep

SWEEP = """
base = "{base}"
benchmarks.one.make = "cp -r {benchmark} {{out}}"
scoring = {{ variants = "internalized", max_new_tokens = 4, batch_size = 1 }}
changes.sft.direct-sft = {{ max_steps = 1 }}
[[grids]]
title = "One"
benchmarks = ["one"]
methods = ["direct-sft"]
chains = [1]
seeds = [0]
"""


def process_in(folder: Path) -> int:
    """The process whose working directory is this folder."""
    for link in Path("/proc").glob("[0-9]*/cwd"):
        with suppress(OSError):
            if link.readlink() == folder:
                return int(link.parent.name)
    raise AssertionError(folder)


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def test_a_cell_resumes_on_another_node(
    cluster: Any,
    text_folder: Path,
    checkpoint: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr(grid, "UNTRAINED", ("base",))
    out, file = tmp_path / "out", tmp_path / "sweep.toml"
    file.write_text(SWEEP.format(base=checkpoint, benchmark=text_folder))
    responses = out / "runs/one/base/test/responses.jsonl"
    nodes = [cluster.add_node(num_cpus=1) for _ in range(2)]
    ended = threading.Event()

    def kill() -> None:
        while not responses.exists() or not responses.stat().st_size:
            time.sleep(0.01)
        cell = process_in(out)
        raylets = {node.all_processes["raylet"][0].process.pid: node for node in nodes}
        cluster.remove_node(raylets[parent(parent(cell))], allow_graceful=False)
        while Path(f"/proc/{cell}").exists():
            time.sleep(0.1)
        ended.set()

    threading.Thread(target=kill, daemon=True).start()
    assert run_sweep(file, out, jobs=1, processes=EngineConfig("ray", cluster.address)) == 2
    assert ended.wait(60)
    assert "a process died and is replaced" in capsys.readouterr().err
    outcomes = [read_json(path, Outcome) for path in out.rglob("outcome.json")]
    assert [outcome.error for outcome in outcomes] == [None, None]
    answered = Log(responses, Response).read()
    assert len(answered) == len({r.key for r in answered}) == 12
