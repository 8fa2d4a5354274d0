"""`gtapolicy generate` of any size: the same from any number of processes and commands, killed or not."""

import itertools
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

import pytest

from gtapolicy.dataset import generate
from gtapolicy.dataset.config import GenerateConfig
from gtapolicy.dataset.generate import DialogGenerator
from harness.engine import Local
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.generation.blocks import generate as generate_blocks
from harness.generation.blocks import generate_all
from harness.request import EvalRequest
from harness.run import evaluate
from harness.verify import verify

SIZES = {"train": 11, "test": 5}
CONFIG = GenerateConfig(**SIZES)
FLAGS = [word for name, size in SIZES.items() for word in (f"--{name}", str(size))]
# The command with smaller blocks.
CODE = "from gtapolicy.dataset import generate; generate.BLOCK = 8; from gtapolicy import cli; cli.main()"
COMMAND = [sys.executable, "-c", CODE, "generate"]


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generate, "BLOCK", 8)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two blocks, from one process."""
    out = tmp_path_factory.mktemp("blocks") / "bench"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(generate, "BLOCK", 8)
        generate_all(out, DialogGenerator(CONFIG), workers=1)
    return out


def generators(*sizes: tuple[int, int], **settings: int) -> list[DialogGenerator]:
    return [DialogGenerator(GenerateConfig(train=train, test=test, **settings)) for train, test in sizes]


@pytest.mark.parametrize("block", [7, 40, 25_000])
def test_every_size_is_exact_and_no_dialog_is_in_two_blocks(
    monkeypatch: pytest.MonkeyPatch, block: int
) -> None:
    monkeypatch.setattr(generate, "BLOCK", block)
    sizes = [(0, 1), (1, 3), (30, 2), (0, 90), (451, 106)]
    for generator in [*generators(*sizes), *generators((50, 9), invented_tools=3, invented_rules=9)]:
        plans = [generator._calls(generator.block(number)) for number in range(generator.count)]
        numbers = [number for plan in plans for number in plan]
        assert len(set(numbers)) == len(numbers)
        calls: Counter[str] = Counter()
        for number, asked in itertools.chain.from_iterable(plan.items() for plan in plans):
            outline = generator.scenarios.outline(0, number)
            assert 1 <= asked <= outline.scenario.calls
            calls[outline.split] += asked
        assert {"train": 0, "test": 0} | calls == generator.sizes
        assert all(sum(plan.values()) <= block + 1 for plan in plans)


def test_the_default_is_one_round_and_a_million_calls_have_other_dialogs(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(generate, "BLOCK", 25_000)
    default, million = generators((451, 106), (10**6, 1000))
    assert list(default._calls(default.block(0))) == list(range(229))
    assert [(g.count, g.spec.config["train"]) for g in (default, million)] == [(1, 451), (41, 10**6)]
    plans = [million._calls(million.block(number)) for number in (0, 40)]
    assert not plans[0].keys() & plans[1].keys()
    assert {sum(plan.values()) for plan in plans} <= {24_414, 24_415, 24_416}


def test_several_commands_and_processes_generate_the_same(folder: Path, tmp_path: Path) -> None:
    out, generator = tmp_path / "bench", DialogGenerator(CONFIG)
    with Local(2) as engine:
        assert generate_blocks(out, generator, engine, range(1, 2)) is None
        assert not (out / "manifest.json").exists()
        assert generate_blocks(out, generator, engine, range(1)) == Benchmark(folder).manifest
    assert not list(out.rglob(".*"))


def test_a_benchmark_of_blocks_is_read_like_any_other(folder: Path, tmp_path: Path) -> None:
    benchmark = Benchmark(folder)
    assert verify(benchmark).endswith("gold responses score 1")
    instances = {split: benchmark.instances(split) for split in SIZES}
    assert {split: len(found) for split, found in instances.items()} == SIZES
    every = [instance for found in instances.values() for instance in found]
    assert len({instance.id for instance in every}) == len(every)
    assert {instance.block for instance in every} == {"blocks/000000/", "blocks/000001/"}
    for kind in ("image", "text"):
        train, test = (
            {part.value for i in found for part in i.query if part.kind == kind}
            for found in instances.values()
        )
        assert train and test and not train & test
    assert len(benchmark.policies) == 2 and len(benchmark.instances("recall")) > 2
    report = evaluate(benchmark, EvalRequest("oracle", limit=3), tmp_path / "run")
    assert {row.mean for row in report.rows if row.metric == "accuracy"} == {1.0}
    assert {row.detail for row in report.rows if row.metric == "baseline"} > {"nothing", "always version 1"}


def start(out: Path, workers: int) -> subprocess.Popen[bytes]:
    command = [*COMMAND, out, *FLAGS, "--workers", str(workers)]
    return subprocess.Popen(command, start_new_session=True, stderr=subprocess.DEVNULL)


def wait_for(out: Path, dialogs: int) -> None:
    while sum(log.read_bytes().count(b"\n") for log in out.rglob(".progress.jsonl")) < dialogs:
        time.sleep(0.01)


def test_the_command_resumes_after_kill_9(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "bench"
    process = start(out, workers=2)
    wait_for(out, 3)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert not (out / "manifest.json").exists()
    assert start(out, workers=1).wait() == 0
    assert (out / "manifest.json").read_bytes() == (folder / "manifest.json").read_bytes()


def test_a_worker_that_is_killed_costs_nothing(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "bench"
    process = start(out, workers=2)
    wait_for(out, 2)
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
    os.kill(int(children[-1]), signal.SIGKILL)
    assert process.wait() == 0
    assert (out / "manifest.json").read_bytes() == (folder / "manifest.json").read_bytes()


def test_the_command_generates_chosen_blocks_with_the_users_scenarios(tmp_path: Path) -> None:
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "fine.toml").write_text(
        'based_on = ["board", "read-and-calculate"]\ndialogs = 300\n[facts]\nkind = "\'paper\'"\n'
        "title = \"'Library'\"\nrows = \"[['Book', '0.20']]\"\nexpression = \"f'{between(2, 99)} * 0.20'\"\n"
        '[[question]]\nask = ["What?"]\nask_in_test = ["How much?"]\n'
    )
    command = [*COMMAND, "bench", "--train", "6", "--test", "4", "--scenarios", "mine", "--workers", "1"]
    first, second = (
        subprocess.run([*command, "--blocks", b], check=True, capture_output=True, text=True, cwd=tmp_path)
        for b in ("1:2", "0:1")
    )
    assert first.stdout == "bench: blocks 1:2 of 2 are complete\n"
    assert "6 instances.train" in second.stdout and "dialogs: " in second.stderr
    instances = Benchmark(tmp_path / "bench").instances("train")
    assert "fine" in {instance.facts["family"] for instance in instances}


def test_a_mistake_in_a_scenario_leaves_no_folder(tmp_path: Path) -> None:
    (tmp_path / "fine.toml").write_text('based_on = "board"\n[facts]\ntitle = "nothing"\n')
    with pytest.raises(UserError, match=r"fine\.toml"):
        DialogGenerator(GenerateConfig(scenarios=tmp_path))


@pytest.mark.parametrize(("field", "value"), [("train", -1), ("test", 0), ("train", 10**7 + 1)])
def test_sizes_out_of_range_are_refused(field: str, value: int) -> None:
    with pytest.raises(UserError, match=rf"^{field}: expected \d\.\.10000000, got {value}$"):
        GenerateConfig(**{field: value})


def test_another_size_is_another_benchmark(folder: Path) -> None:
    with pytest.raises(UserError, match="test"):
        generate_all(folder, generators((11, 6))[0], workers=1)
    assert store.read_json(folder / "manifest.json", dict)["config"]["test"] == 5
