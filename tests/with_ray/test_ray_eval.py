"""A checkpoint scored by replicas on a Ray cluster of which a node dies."""

import threading
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from harness.backends import Sampling
from harness.engine import EngineConfig
from harness.files.benchmark import Benchmark
from harness.files.store import Log, read_json
from harness.records import Report, Response
from harness.request import EvalRequest
from harness.run import evaluate


def test_one_of_three_replicas_is_lost_with_its_node(
    cluster: Any, text_folder: Path, checkpoint: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    nodes = [cluster.add_node(num_cpus=1) for _ in range(3)]
    sampling = Sampling(max_new_tokens=16, batch_size=2, temperature=1.0)
    one = EvalRequest(f"hf:{checkpoint}", sampling, samples=2)
    three = replace(one, replicas=3, processes=EngineConfig("ray", cluster.address))
    runs = tmp_path / "one", tmp_path / "three"
    benchmark = Benchmark(text_folder)
    evaluate(benchmark, one, runs[0])

    def kill() -> None:
        while not (log := runs[1] / "responses.jsonl").exists() or not log.stat().st_size:
            time.sleep(0.01)
        cluster.remove_node(nodes[1], allow_graceful=False)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    evaluate(benchmark, three, runs[1])
    killer.join()
    assert "a process died and is replaced" in capsys.readouterr().err
    expected, responses = (Log(run / "responses.jsonl", Response).read() for run in runs)
    assert len(responses) == len(expected) == 72
    assert {r.key: r.text for r in responses} == {r.key: r.text for r in expected}
    before, after = (read_json(run / "report.json", Report) for run in runs)
    assert (before.run, before.backend, before.rows) == (after.run, after.backend, after.rows)
