"""verifiers loads our tasksets, and its `validate` and its reward agree with the harness."""

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

vf = pytest.importorskip("verifiers.v1", reason="make test-interop creates an environment with verifiers")

from verifiers.v1.utils.generic import concrete_type  # noqa: E402
from verifiers.v1.utils.loaders import taskset_class  # noqa: E402

from harness.export.write import export  # noqa: E402
from harness.files.benchmark import Benchmark  # noqa: E402
from harness.request import ExportRequest  # noqa: E402


def load(id_: str, **settings: Any) -> Any:
    found = taskset_class(id_)
    config = concrete_type(found, vf.TasksetConfig)
    return found(config(id=id_, **settings))


def valid(task: Any) -> bool:
    return asyncio.run(task.validate(None))


@pytest.mark.parametrize("variant", ["internalized", "in_context", "override"])
def test_an_endless_taskset_repeats_itself_for_a_seed_and_balances_answers(variant: str) -> None:
    settings = {"depth": 2, "scenes": "words", "variant": variant, "seed": 3}
    tasks = list(load("clevrpolicy", **settings).take(24))
    assert [task.data for task in tasks] == [task.data for task in load("clevrpolicy", **settings).take(24)]
    assert len({task.key for task in tasks}) == 24 and all(map(valid, tasks))
    others = load("clevrpolicy", **{**settings, "seed": 4}).take(24)
    assert not {task.data.prompt_text for task in others} & {task.data.prompt_text for task in tasks}
    if variant == "internalized":
        answers = [task.data.gold.rpartition("{")[2] for task in tasks]
        assert sorted(answers.count(answer) for answer in set(answers)) == [6] * 4


def test_pictures_are_in_the_prompt() -> None:
    (task,) = load("clevrpolicy", width=96, height=64).take(1)
    image, text = task.data.prompt[0].content
    assert image.image_url.url.startswith("data:image/png;base64,") and text.text.startswith("What is")
    assert valid(task)


def test_an_export_is_an_installable_taskset(calls: Benchmark, tmp_path: Path, monkeypatch) -> None:
    export(calls, ExportRequest(for_="verifiers", splits="test"), tmp_path / "env")
    (package,) = (path.parent.name for path in tmp_path.glob("env/*/__init__.py"))
    monkeypatch.syspath_prepend(tmp_path / "env")
    tasks = list(load(package, variant="override", split="test"))
    assert len(tasks) > 50 and all(map(valid, tasks))
    done = subprocess.run(
        [Path(sys.executable).parent / "vf-validate", package, "--only-gold", "--taskset.split", "test",
         "--select.limit", "5", "--rich", "false", "--runtime.type", "subprocess"],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(tmp_path / "env"), "HOME": str(tmp_path)},
        capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
