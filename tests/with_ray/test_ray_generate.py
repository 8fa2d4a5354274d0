"""Benchmarks generated on a Ray cluster of several nodes on this machine, which die or are interrupted."""

import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from clevrpolicy.dataset import blocks
from clevrpolicy.dataset.blocks import block_count
from clevrpolicy.dataset.config import SceneConfig
from clevrpolicy.dataset.generate import _Plan, _plan, generate, generate_blocks
from harness.engine import Ray
from harness.errors import UserError
from harness.files.benchmark import Manifest

BIN = Path(sys.executable).parent
CONFIG = SceneConfig(depth=2, policies=2, train=24, test=12, visual=True, width=96, height=64)


@pytest.fixture(autouse=True)
def several_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 30)


@pytest.fixture(scope="module")
def expected(tmp_path_factory: pytest.TempPathFactory) -> Manifest:
    """What a single local process generates."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", 30)
        assert block_count(CONFIG) == 3
        return generate(tmp_path_factory.mktemp("local") / "bench", CONFIG, workers=1)


def generate_on(cluster: Any, out: Path) -> Manifest | None:
    with Ray(cluster.address) as engine:
        return generate_blocks(out, CONFIG, engine, range(block_count(CONFIG)))


@pytest.mark.parametrize("nodes", [1, 3])
def test_the_same_benchmark_from_any_number_of_nodes(
    cluster: Any, nodes: int, expected: Manifest, tmp_path: Path
) -> None:
    for _ in range(nodes):
        cluster.add_node(num_cpus=1)
    assert generate_on(cluster, tmp_path / "bench") == expected


def test_a_node_that_dies_costs_nothing(cluster: Any, expected: Manifest, tmp_path: Path) -> None:
    out = tmp_path / "bench"
    cluster.add_node(num_cpus=1)
    dying = cluster.add_node(num_cpus=1)

    def kill() -> None:
        while not list(out.rglob("*.png")):
            time.sleep(0.05)
        cluster.remove_node(dying, allow_graceful=False)

    killer = threading.Thread(target=kill, daemon=True)
    killer.start()
    assert generate_on(cluster, out) == expected
    killer.join(timeout=60)


def test_the_command_resumes_after_kill_9(cluster: Any, tmp_path: Path) -> None:
    cluster.add_node(num_cpus=2)
    sizes = "--depth 2 --policies 1 --train 40 --test 8 --width 96 --height 64".split()
    local, out = tmp_path / "local", tmp_path / "ray"
    subprocess.run([BIN / "clevrpolicy", "generate", local, *sizes, "--workers", "1"], check=True)
    command = [BIN / "clevrpolicy", "generate", out, *sizes, "--engine", "ray", "--address", cluster.address]
    process = subprocess.Popen(command, start_new_session=True)
    while process.poll() is None and not (out / ".progress.jsonl").exists():
        time.sleep(0.05)
    os.kill(process.pid, signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    assert not (out / "manifest.json").exists()
    subprocess.run(command, check=True)
    assert (out / "manifest.json").read_bytes() == (local / "manifest.json").read_bytes()


def test_an_address_without_a_cluster_is_one_sentence() -> None:
    with pytest.raises(UserError, match=r"address: cannot use a Ray cluster at 127\.0\.0\.1:1: .*ray start"):
        Ray("127.0.0.1:1")


def test_a_folder_that_is_not_shared_is_one_sentence(cluster: Any, tmp_path: Path) -> None:
    cluster.add_node(num_cpus=1)
    task = _Plan(tmp_path / "elsewhere", CONFIG, blocks.block(CONFIG, 0))
    with (
        Ray(cluster.address) as engine,
        pytest.raises(UserError, match="use a folder that all machines share"),
    ):
        list(engine.map(_plan, [task]))
