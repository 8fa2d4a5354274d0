"""verifiers loads our tasksets and plays our dialogs, and its rewards agree with the harness."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

vf = pytest.importorskip("verifiers.v1", reason="make test-interop creates an environment with verifiers")

from gta_dialogs import write_dialogs  # noqa: E402
from loopback import Reply, Request, completion, serving  # noqa: E402
from verifiers.v1.clients import EvalClientConfig  # noqa: E402
from verifiers.v1.utils.generic import concrete_type  # noqa: E402
from verifiers.v1.utils.loaders import environment_class, taskset_class  # noqa: E402

from harness import variants  # noqa: E402
from harness.export.write import export  # noqa: E402
from harness.files.benchmark import Benchmark  # noqa: E402
from harness.parsing import in_box  # noqa: E402
from harness.records import Instance  # noqa: E402
from harness.request import ExportRequest  # noqa: E402
from harness.variants import VARIANTS  # noqa: E402


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


# From the correct call to the response.
Agent = Callable[[str], str]


def version_1(target: str) -> str:
    return in_box(re.sub(r"_v\d+", "_v1", target))


class Scripted:
    """A model that plays dialogs. It knows the correct call because it replays the conversation."""

    def __init__(self, bench: Benchmark, variant: str, agent: Agent) -> None:
        self.bench, self.variant, self.agent = bench, VARIANTS[variant], agent
        self.dialogs = {self.question(dialog): dialog for dialog in bench.instances("test multi-turn")}

    def target(self, dialog: Instance) -> str:
        target = variants.target(dialog, self.variant)
        assert target is not None
        return target

    def question(self, dialog: Instance) -> str:
        prompt = variants.prompt(dialog, self.variant, self.bench.policies)
        assert prompt is not None
        return "".join(part.value for part in prompt.parts)

    def answer(self, request: Request) -> Reply:
        first, *others = request.body["messages"]
        dialog = self.dialogs["".join(part["text"] for part in first["content"])]
        rollout = self.bench.dialogs.rollout(dialog, self.target(dialog))
        for message, shown in zip(others[::2], others[1::2], strict=True):
            returned = rollout.converse(message["content"])
            assert shown["content"].startswith(f"{returned}\n")
        return completion(self.agent(rollout.answer))

    async def episodes(self, env: Any, url: str) -> dict[str, Any]:
        """The trace of each dialog, by its id."""
        ctx = vf.ModelContext("scripted", EvalClientConfig(base_url=f"{url}/v1", api_key_var="NO_KEY"))
        async with env.serving():
            episodes = [await env.run_episode(task, ctx) for task in env.taskset]
        assert all(episode.ok for episode in episodes), [episode.errors for episode in episodes]
        return {episode.task.data.id.partition("/")[2]: episode.traces[0] for episode in episodes}


@pytest.mark.parametrize("variant", ["internalized", "override"])
@pytest.mark.parametrize("agent", ["oracle", "version 1", "constant", "nothing"])
def test_dialogs_are_played_and_scored_as_in_multi_turn(
    agent: str, variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_KEY", "none")
    bench = write_dialogs(tmp_path / "bench")
    one_call = next(d for d in bench.instances("test multi-turn") if len(d.facts["steps"]) == 1)
    agents: dict[str, Agent] = {
        "oracle": in_box,
        "version 1": version_1,
        "constant": lambda _target: in_box(one_call.target),
        "nothing": lambda _target: "",
    }
    model = Scripted(bench, variant, agents[agent])
    found = environment_class("gtapolicy")
    config = concrete_type(found, vf.EnvConfig)
    taskset = {"id": "gtapolicy", "bench": str(bench.folder), "split": "test", "variant": variant}
    env = found(config(taskset=taskset, agent={"harness": {"id": "direct_chat"}}))
    assert all(map(valid, env.taskset))
    with serving(model.answer) as server:
        traces = asyncio.run(model.episodes(env, server.url))
    assert traces.keys() == {dialog.id for dialog in model.dialogs.values()}
    solved = []
    for dialog in model.dialogs.values():
        expected = bench.dialogs.grade_agent(dialog, model.target(dialog), agents[agent])
        trace = traces[dialog.id]
        assert trace.rewards["solved"].score == expected.value
        assert {name: trace.metrics[name] for name in expected.parts} == pytest.approx(dict(expected.parts))
        solved.append(expected.value)
    if agent == "oracle":
        assert set(solved) == {1}
    if (agent, variant) == ("constant", "internalized"):
        assert sum(solved) == 1
    if agent == "nothing":
        assert set(solved) == {0}
