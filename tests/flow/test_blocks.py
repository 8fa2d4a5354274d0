"""Benchmarks of several blocks: the same from any number of commands, and read block by block."""

import shutil
import subprocess
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest

from clevrpolicy.cli import main
from clevrpolicy.dataset import blocks
from clevrpolicy.dataset.blocks import block_count
from clevrpolicy.dataset.config import Config, SceneConfig
from clevrpolicy.dataset.generate import generate, generate_blocks
from harness.engine import Local
from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.files.manifest import Manifest
from harness.generation.blocks import parse_blocks
from harness.records import Instance
from harness.request import EvalRequest
from harness.run import evaluate
from harness.verify import verify

BIN = Path(sys.executable).parent
CONFIG = SceneConfig(depth=2, policies=3, train=10, test=6, visual=True, width=96, height=64, max_objects=4)


@pytest.fixture(autouse=True)
def small_blocks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 16)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("blocks") / "bench"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(blocks, "BLOCK", 16)
        assert block_count(CONFIG) == 3
        generate(out, CONFIG, workers=2)
    return out


@pytest.mark.parametrize("balance", ["leaf", "natural"])
@pytest.mark.parametrize("policies", [1, 3, 33, 70, 1000])
@pytest.mark.parametrize(("train", "test"), [(0, 1), (2, 1), (40, 4), (5000, 300)])
def test_every_instance_and_policy_is_in_one_block(
    monkeypatch: pytest.MonkeyPatch, balance, policies: int, train: int, test: int
) -> None:
    monkeypatch.setattr(blocks, "BLOCK", 25_000)
    config = Config(policies=policies, train=train, test=test, balance=balance)
    parts = [blocks.block(config, number) for number in range(block_count(config))]
    assert [index for part in parts for index in part.stored_policies] == list(range(policies))
    counts: Counter[tuple[str, int]] = Counter()
    for part in parts:
        assert (
            len(part.policies) * sum(map(len, part.numbers.values())) <= max(25_000, policies) + 2 * policies
        )
        assert (part.folder == "") == (len(parts) == 1)
        for split, numbers in part.numbers.items():
            counts.update({(split, index): len(numbers) for index in part.policies})
    expected = {("train", i): train for i in range(policies)} | {("test", i): test for i in range(policies)}
    assert {key: count for key, count in counts.items() if count} == {k: c for k, c in expected.items() if c}


def test_several_commands_generate_the_same(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "bench"
    with Local(1) as engine:
        assert generate_blocks(out, CONFIG, engine, range(2, 3)) is None
        assert not (out / "manifest.json").exists()
        assert generate_blocks(out, CONFIG, engine, range(1)) is None
        finished = generate_blocks(out, CONFIG, engine, range(1, 2))
    assert finished == Benchmark(folder).manifest == generate(out, CONFIG, workers=1)
    assert not list(out.rglob(".*"))


def test_a_benchmark_of_blocks_is_read_like_any_other(folder: Path, tmp_path: Path) -> None:
    benchmark = Benchmark(folder)
    assert verify(benchmark).endswith("gold responses score 1")
    for split, count in (("train", 30), ("test", 18)):
        instances = benchmark.instances(split)
        assert (
            len({i.id for i in instances}) == len(instances) == count == benchmark.manifest.instances(split)
        )
        cases = Counter((i.policy_id, i.target) for i in instances)
        assert max(cases.values()) - min(cases.values()) <= 1
    assert len(benchmark.policies) == 12
    report = evaluate(benchmark, EvalRequest("oracle"), tmp_path / "run")
    assert {row.mean for row in report.rows if row.metric == "accuracy"} == {1.0}
    command = [BIN / "clevrpolicy", "scenes", folder, "train", tmp_path / "scenes.json"]
    subprocess.run(command, check=True, capture_output=True)
    names = [s["image_filename"] for s in store.read_json(tmp_path / "scenes.json", dict)["scenes"]]
    assert len(set(names)) == len(names)


def test_a_limit_reads_only_some_blocks(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "bench"))
    benchmark = Benchmark(copy)
    unread = 0
    for part in benchmark.parts("test"):
        text = (copy / part).read_bytes()
        (copy / part).unlink()
        try:
            evaluate(benchmark, EvalRequest("oracle", limit=1), tmp_path / part.split("/")[1])
            unread += 1
        except UserError:
            pass
        (copy / part).write_bytes(text)
    assert unread == 2


def test_instances_are_first_looked_for_in_the_block_that_was_read_last(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    bench = Benchmark(folder)
    by_part = {part: bench.instances_of(part) for part in bench.parts("test")}
    searched: list[str] = []

    def search(part: str) -> Sequence[Instance]:
        searched.append(part)
        return by_part[part]

    monkeypatch.setattr(bench, "instances_of", search)
    last = list(by_part)[-1]
    assert bench.find([by_part[last][0].id]) and searched == [last]


def test_a_changed_block_is_an_error(folder: Path, tmp_path: Path) -> None:
    copy = Path(shutil.copytree(folder, tmp_path / "bench"))
    path = next((copy / "blocks/000001/images").glob("test-*.png"))
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(UserError, match="the file was changed later"):
        verify(Benchmark(copy))
    manifest = copy / "blocks/000001/manifest.json"
    manifest.write_bytes(manifest.read_bytes().replace(b"test-", b"TEST-", 1))
    with pytest.raises(UserError, match=r"blocks/000001/manifest\.json: expected sha256"):
        Benchmark(copy)


def test_a_block_of_another_version_is_refused(tmp_path: Path) -> None:
    out = tmp_path / "bench"
    with Local(1) as engine:
        generate_blocks(out, CONFIG, engine, range(1))
        path = out / "blocks/000000/manifest.json"
        older = store.read_json(path, dict)
        store.write_json(path, {**older, "versions": {**older["versions"], "planner": "1"}})
        with pytest.raises(UserError, match=r"planner: .* contains a benchmark with planner '1'"):
            generate_blocks(out, CONFIG, engine, range(block_count(CONFIG)))
    assert store.read_json(path, Manifest).versions["planner"] == "1"


@pytest.mark.parametrize("text", ["3", "2:2", "0:4", "-1:2", "a:b", "0:1:2"])
def test_blocks_that_do_not_exist_are_refused(text: str) -> None:
    with pytest.raises(UserError, match=r"blocks: expected FIRST:END, such as 0:1, within 0:3 .* got"):
        parse_blocks(text, 3)


def test_the_command_generates_chosen_blocks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In this process, where blocks are small."""
    out = tmp_path / "bench"
    sizes = "--depth 1 --policies 3 --train 10 --test 6 --balance natural --width 96 --height 64"
    command = ["clevrpolicy", "generate", str(out), *sizes.split(), "--workers", "1", "--blocks"]
    said = []
    for chosen in ("1:3", "0:1"):
        monkeypatch.setattr(sys, "argv", [*command, chosen])
        main()
        said.append(capsys.readouterr().out)
    assert said[0] == f"{out}: blocks 1:3 of 3 are complete\n"
    assert "30 instances.train" in said[1] and "digest" in said[1]
    assert len(Benchmark(out).instances("test")) == 18
