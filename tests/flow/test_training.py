"""`trimpi train` end to end: checkpoints that the harness loads, kill -9, and what is refused."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.run import EvalRequest, evaluate
from training import config
from training.cot import generate
from training.cot.generate import Cot
from training.train import LOCK, RECORD, begin, train

FAST = {"epochs": 4, "batch_size": 4, "micro_batch": 2}


@pytest.fixture(scope="module")
def chains(text_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cot") / "gold"
    generate.make(Benchmark(text_folder), out, Cot())
    return out


def recipe(name: str, checkpoint: Path, bench: Path, chains: Path, **changes: Any) -> config.Recipe:
    data = [{"benchmark": bench, "cot": chains}]
    sft = {
        stage: {**FAST, **changes.pop(stage, {})}
        for stage in ("vm-cpt", "direct-sft", "cot-sft", "prompt-sft")
    }
    return config.load(name, "tiny", base=str(checkpoint), data=data, sft=sft, save_steps=2, **changes)


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_two_stages_give_checkpoints_that_the_harness_scores(
    checkpoint: Path, text_folder: Path, chains: Path, tmp_path: Path
) -> None:
    asked = recipe("vm-cpt-cot-sft", checkpoint, text_folder, chains, **{"cot-sft": {"lora_rank": 4}})
    last = train(asked, tmp_path / "run")
    assert last == tmp_path / "run" / "cot-sft"
    assert len({weights(folder) for folder in (checkpoint, tmp_path / "run" / "vm-cpt", last)}) == 3
    assert not list(last.glob("adapter*"))
    assert {path.name for path in checkpoint.iterdir()} <= {path.name for path in last.iterdir()}
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        *("vm-cpt", "cot-sft", "tensorboard", ".lock"),
        *("recipe.json", "training.json", "log.jsonl", "curves.html"),
    }
    record = json.loads((last / RECORD).read_text())
    digest = Benchmark(text_folder).manifest.digest
    assert [entry["digest"] for entry in record["data"]] == [digest]
    assert record["base"] == f"hf:{checkpoint}"
    assert [(s["stage"], s["steps"]) for s in record["stages"]] == [("vm-cpt", 8), ("cot-sft", 8)]
    assert record["planned"] == ["vm-cpt", "cot-sft"]
    assert record["stages"][1]["parent"] == str(tmp_path / "run" / "vm-cpt")
    report = evaluate(
        Benchmark(text_folder), EvalRequest(f"hf:{last}", "internalized", limit=2), tmp_path / "scored"
    )
    assert report.rows[0].n == 2
    # Nothing is done twice.
    before = weights(last)
    assert train(asked, tmp_path / "run") == last
    assert weights(last) == before


@pytest.mark.parametrize("name", ["direct-sft", "policy-in-prompt"])
def test_the_other_supervised_recipes(
    name: str, checkpoint: Path, visual_folder: Path, tmp_path: Path
) -> None:
    made = tmp_path / "cot"
    generate.make(Benchmark(visual_folder), made, Cot())
    last = train(recipe(name, checkpoint, visual_folder, made), tmp_path / "run")
    assert weights(last) != weights(checkpoint)


def written(folder: Path, what: str, checkpoint: Path, bench: Path, chains: Path) -> Path:
    """A recipe's file."""
    mine = folder / "mine.toml"
    mine.write_text(
        f'{what}\nscale = "tiny"\nbase = "{checkpoint}"\nsave_steps = 2\n'
        f'data = [{{benchmark = "{bench}", cot = "{chains}"}}]\n'
    )
    return mine


@pytest.mark.parametrize(
    "what",
    [
        "extends = 'cot-sft'\nsft.cot-sft = {epochs = 8, batch_size = 4, micro_batch = 2}",
        "extends = 'cot-sft'\nsft.cot-sft = {epochs = 8, batch_size = 4, micro_batch = 2, lora_rank = 4}",
    ],
    ids=["all weights", "lora"],
)
def test_killed_at_any_moment_it_ends_with_the_same_weights(
    what: str, checkpoint: Path, text_folder: Path, chains: Path, tmp_path: Path
) -> None:
    mine = written(tmp_path, what, checkpoint, text_folder, chains)
    whole = train(config.load(str(mine)), tmp_path / "whole")
    command = [sys.executable, "-m", "training.cli", "train", str(mine), "--out", str(tmp_path / "killed")]
    work = tmp_path / "killed" / ".cot-sft"
    for saved in ("checkpoint-4", "checkpoint-10"):
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        while process.poll() is None and not (work / saved).exists():
            time.sleep(0.002)
        # Perhaps in the middle of writing it.
        os.kill(process.pid, signal.SIGKILL)
        process.wait()
    assert not (tmp_path / "killed" / "cot-sft").exists()
    assert subprocess.run(command, capture_output=True, check=False).returncode == 0
    assert weights(tmp_path / "killed" / "cot-sft") == weights(whole)


RL = """extends = 'cot-sft-grpo'
sft.cot-sft = {batch_size = 4, micro_batch = 2}
rl = {prompts = 2, responses = 4, micro_batch = 4, max_new_tokens = 8, max_steps = 8}"""


def test_two_processes_make_one_checkpoint(
    checkpoint: Path, text_folder: Path, chains: Path, tmp_path: Path
) -> None:
    mine = written(tmp_path, RL, checkpoint, text_folder, chains)
    launch = ["torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    command = [*launch, "-m", "training.cli", "train", str(mine), "--out", str(tmp_path / "run")]
    subprocess.run([sys.executable, "-m", *command], capture_output=True, check=True, timeout=300)
    record = json.loads((tmp_path / "run" / "rl" / RECORD).read_text())
    assert [stage["processes"] for stage in record["stages"]] == [2, 2]
    assert [stage["steps"] for stage in record["stages"]] == [10, 8]


def test_a_checkpoint_without_its_record_is_made_again(
    checkpoint: Path, text_folder: Path, chains: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = recipe("cot-sft", checkpoint, text_folder, chains)

    def killed(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("training.curves.page.write_curves", killed)
        train(asked, tmp_path / "run")
    before = weights(tmp_path / "run" / "cot-sft")
    assert not (tmp_path / "run" / "cot-sft" / RECORD).exists()
    assert weights(train(asked, tmp_path / "run")) == before
    assert (tmp_path / "run" / "cot-sft" / RECORD).exists()


def test_one_stage_at_a_time_wants_its_parent(
    checkpoint: Path, text_folder: Path, chains: Path, tmp_path: Path
) -> None:
    asked = recipe("vm-cpt-cot-sft", checkpoint, text_folder, chains)
    with pytest.raises(UserError, match=r"vm-cpt: expected the checkpoint that cot-sft starts from"):
        train(asked, tmp_path / "run", only="cot-sft")
    assert train(asked, tmp_path / "run", only="vm-cpt") == tmp_path / "run" / "vm-cpt"
    assert train(asked, tmp_path / "run", only="cot-sft") == tmp_path / "run" / "cot-sft"
    with pytest.raises(UserError, match="expected one of vm-cpt, cot-sft with vm-cpt-cot-sft, got rl"):
        train(asked, tmp_path / "run", only="rl")


def test_a_run_goes_on_only_as_it_was_begun(
    checkpoint: Path, text_folder: Path, chains: Path, tmp_path: Path
) -> None:
    asked = recipe("vm-cpt-cot-sft", checkpoint, text_folder, chains)
    train(asked, tmp_path / "run", only="vm-cpt")
    with pytest.raises(UserError, match=r"recipe.seed 0, but 1 was requested; name another folder"):
        train(recipe("vm-cpt-cot-sft", checkpoint, text_folder, chains, seed=1), tmp_path / "run")


def test_what_a_stage_is_asked_may_change_until_it_is_begun(
    checkpoint: Path, text_folder: Path, chains: Path, tmp_path: Path
) -> None:
    """Or a finished stage would be trained again for a mistake in the settings of the next."""

    def asked(**settings: Any) -> config.Recipe:
        return recipe("vm-cpt-cot-sft", checkpoint, text_folder, chains, **settings)

    run = tmp_path / "run"
    train(asked(**{"cot-sft": {"learning_rate": 1.0}}), run, only="vm-cpt")
    with pytest.raises(UserError, match=r"sft.vm-cpt.learning_rate"):
        train(asked(**{"vm-cpt": {"learning_rate": 1.0}}), run)
    with pytest.raises(UserError, match=r"learning_rate, delete .*cot-sft"):
        train(asked(**{"cot-sft": {"learning_rate": 1e30}}), run)
    (run / ".cot-sft" / "checkpoint-2").mkdir()
    with pytest.raises(UserError, match=f"half trained with other settings; delete {run}/.cot-sft"):
        train(asked(), run)
    shutil.rmtree(run / ".cot-sft")
    train(asked(), run)
    rate = config.load("cot-sft", "tiny", base="b", data=[{"benchmark": "x"}]).sft["cot-sft"].learning_rate
    told = json.loads((run / "recipe.json").read_text())["recipe"]["sft"]["cot-sft"]["learning_rate"]
    done = json.loads((run / RECORD).read_text())["stages"][1]["settings"]["learning_rate"]
    assert told == done == rate


def test_what_only_a_later_stage_needs_is_asked_for_at_once(
    checkpoint: Path, text_folder: Path, chains: Path, tmp_path: Path
) -> None:
    rl = {"prompts": 9, "responses": 4, "micro_batch": 4}
    with pytest.raises(UserError, match=r"rl.prompts: expected at most .* training instances, 8, got 9"):
        train(recipe("cot-sft-grpo", checkpoint, text_folder, chains, rl=rl), tmp_path / "run")
    with pytest.raises(UserError, match="expected finished chains of thought"):
        train(recipe("direct-sft", checkpoint, text_folder, tmp_path / "nope"), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_base_that_is_none_does_not_take_the_folder(
    checkpoint: Path, text_folder: Path, chains: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="expected a checkpoint's folder or a hub id"):
        train(recipe("cot-sft", Path("./a/b/c"), text_folder, chains), tmp_path / "run")
    begin(tmp_path / "run", recipe("cot-sft", checkpoint, text_folder, chains), ())


def test_two_processes_do_not_train_in_one_folder(
    checkpoint: Path, text_folder: Path, chains: Path, tmp_path: Path
) -> None:
    asked = recipe("cot-sft", checkpoint, text_folder, chains)
    train(asked, tmp_path / "run")
    with store.locked(tmp_path / "run" / LOCK), pytest.raises(UserError, match="another process is at work"):
        train(asked, tmp_path / "run")


def test_chains_of_another_benchmark_are_refused(
    checkpoint: Path, visual_folder: Path, chains: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="digest"):
        train(recipe("cot-sft", checkpoint, visual_folder, chains), tmp_path / "run")


def test_a_loss_that_is_no_number_stops_and_spoils_nothing(
    checkpoint: Path, text_folder: Path, chains: Path, tmp_path: Path
) -> None:
    asked = recipe("vm-cpt-cot-sft", checkpoint, text_folder, chains, **{"cot-sft": {"learning_rate": 1e30}})
    with pytest.raises(UserError, match=r"step \d+: the \w+ is (nan|inf); lower learning_rate"):
        train(asked, tmp_path / "run")
    assert (tmp_path / "run" / "vm-cpt" / RECORD).exists()
    assert not (tmp_path / "run" / "cot-sft").exists()


def test_what_fills_no_batch_is_said(checkpoint: Path, text_folder: Path, chains: Path) -> None:
    with pytest.raises(UserError, match="multiple of micro_batch"):
        recipe("cot-sft", checkpoint, text_folder, chains, **{"cot-sft": {"batch_size": 3}})
