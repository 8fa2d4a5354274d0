"""GTAPolicy on a Ray cluster of two nodes on this machine, with the user's files in a relative path."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("ray")

SCENARIO = """
based_on = ["board", "read-and-calculate"]
dialogs = 300
[facts]
kind = "'paper'"
title = "'Library'"
rows = "[['Book', '0.20']]"
expression = "f'{between(2, 99)} * 0.20'"
[[question]]
ask = ["What?"]
ask_in_test = ["How much?"]
"""
# The command with smaller blocks.
CODE = "from gtapolicy.dataset import generate; generate.BLOCK = 8; from gtapolicy import cli; cli.main()"


def test_the_same_benchmark_from_two_nodes(cluster: Any, tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "fine.toml").write_text(SCENARIO)
    for _ in range(2):
        cluster.add_node(num_cpus=1)
    engines = {"local": ["--workers", "1"], "ray": ["--engine", "ray", "--address", cluster.address]}
    for out, engine in engines.items():
        command = [sys.executable, "-c", CODE, "generate", out, "--train", "11", "--test", "5"]
        subprocess.run([*command, "--scenarios", "mine", *engine], check=True, cwd=tmp_path)
    local, on_ray = ((tmp_path / out / "manifest.json").read_bytes() for out in engines)
    assert local == on_ray and b"blocks/000001/" in local
