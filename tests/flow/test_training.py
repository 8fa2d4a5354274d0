"""`trimpi train` end to end: checkpoints for the harness, resuming after kill -9, and errors."""

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from forked import start_command

from harness.errors import UserError
from harness.files import store
from harness.files.benchmark import Benchmark
from harness.files.workdir import LOCK
from harness.request import EvalRequest
from harness.run import evaluate
from training import config
from training.cot.config import CotRequest
from training.cot.generate import make_chains
from training.curves.history import RECORD_FILE
from training.train import reserve_run, train

MakeRecipe = Callable[..., config.Recipe]
FAST = {"epochs": 4, "batch_size": 4, "micro_batch": 2}


@pytest.fixture(scope="module")
def chains(text_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("cot") / "gold"
    make_chains(Benchmark(text_folder), out, CotRequest())
    return out


@pytest.fixture
def recipe(checkpoint: Path, text_folder: Path, chains: Path) -> MakeRecipe:
    """Makes recipes with short stages. Changes are keys of the recipe or settings of a supervised stage."""

    def make(name: str, **changes: Any) -> config.Recipe:
        stages = ("vm-cpt", "direct-sft", "cot-sft", "prompt-sft")
        sft = {stage: FAST | changes.pop(stage, {}) for stage in stages}
        data = [{"benchmark": text_folder, "cot": chains}]
        settings = {"base": str(checkpoint), "data": data, "sft": sft, "save_steps": 2}
        return config.load(name, "tiny", **(settings | changes))

    return make


def weights(folder: Path) -> bytes:
    return (folder / "model.safetensors").read_bytes()


def test_the_harness_scores_the_checkpoints_of_two_stages(
    recipe: MakeRecipe, checkpoint: Path, text_folder: Path, tmp_path: Path
) -> None:
    settings = recipe("vm-cpt-cot-sft", **{"cot-sft": {"lora_rank": 4}})
    last = train(settings, tmp_path / "run")
    assert last == tmp_path / "run" / "cot-sft"
    assert len({weights(folder) for folder in (checkpoint, tmp_path / "run" / "vm-cpt", last)}) == 3
    assert not list(last.glob("adapter*"))
    assert {path.name for path in checkpoint.iterdir()} <= {path.name for path in last.iterdir()}
    assert {path.name for path in (tmp_path / "run").iterdir()} == {
        *("vm-cpt", "cot-sft", "tensorboard", ".lock"),
        *("recipe.json", "training.json", "log.jsonl", "curves.html"),
    }
    record = json.loads((last / RECORD_FILE).read_text())
    digest = Benchmark(text_folder).manifest.digest
    assert [entry["digest"] for entry in record["data"]] == [digest]
    assert record["base"] == f"hf:{checkpoint}"
    assert [(s["stage"], s["steps"]) for s in record["stages"]] == [("vm-cpt", 8), ("cot-sft", 8)]
    assert record["planned"] == ["vm-cpt", "cot-sft"]
    assert record["stages"][1]["parent"] == str(tmp_path / "run" / "vm-cpt")
    report = evaluate(
        Benchmark(text_folder),
        EvalRequest(f"hf:{last}", variants="internalized", limit=2),
        tmp_path / "scored",
    )
    assert report.rows[0].n == 2
    # Nothing is trained twice.
    before = weights(last)
    assert train(settings, tmp_path / "run") == last
    assert weights(last) == before


@pytest.mark.parametrize("name", ["direct-sft", "policy-in-prompt"])
def test_the_other_supervised_recipes(
    name: str, recipe: MakeRecipe, checkpoint: Path, visual_folder: Path, tmp_path: Path
) -> None:
    chains = tmp_path / "cot"
    make_chains(Benchmark(visual_folder), chains, CotRequest())
    last = train(recipe(name, data=[{"benchmark": visual_folder, "cot": chains}]), tmp_path / "run")
    assert weights(last) != weights(checkpoint)


def write_recipe(folder: Path, settings: str, checkpoint: Path, bench: Path, chains: Path) -> Path:
    """Writes a recipe file with the given settings."""
    mine = folder / "mine.toml"
    mine.write_text(
        f'{settings}\nscale = "tiny"\nbase = "{checkpoint}"\nsave_steps = 2\n'
        f'data = [{{benchmark = "{bench}", cot = "{chains}"}}]\n'
    )
    return mine


@pytest.mark.parametrize(
    "settings",
    [
        "extends = 'cot-sft'\nsft.cot-sft = {epochs = 8, batch_size = 4, micro_batch = 2}",
        "extends = 'cot-sft'\nsft.cot-sft = {epochs = 8, batch_size = 4, micro_batch = 2, lora_rank = 4}",
    ],
    ids=["all weights", "lora"],
)
def test_a_killed_run_ends_with_the_same_weights(
    settings: str, checkpoint: Path, text_folder: Path, chains: Path, tmp_path: Path
) -> None:
    mine = write_recipe(tmp_path, settings, checkpoint, text_folder, chains)
    uninterrupted = train(config.load(str(mine)), tmp_path / "uninterrupted")
    command = ["trimpi", "train", mine, "--out", tmp_path / "killed"]
    work = tmp_path / "killed" / ".cot-sft"
    for saved in ("checkpoint-4", "checkpoint-10"):
        process = start_command(*command)
        while process.is_alive() and not (work / saved).exists():
            time.sleep(0.002)
        # This may be while the checkpoint is being written.
        process.kill()
        process.join()
    assert not (tmp_path / "killed" / "cot-sft").exists()
    # What a full disk can leave: a checkpoint that was complete once is skipped too.
    newest = max(work.glob("checkpoint-*/optimizer.pt"), key=lambda path: int(path.parent.name.split("-")[1]))
    os.truncate(newest, newest.stat().st_size // 2)
    process = start_command(*command)
    process.join()
    assert process.exitcode == 0
    assert weights(tmp_path / "killed" / "cot-sft") == weights(uninterrupted)


RL = """extends = 'cot-sft-grpo'
sft.cot-sft = {epochs = 2, batch_size = 4, micro_batch = 2}
rl = {prompts = 2, responses = 4, micro_batch = 4, max_new_tokens = 8, max_steps = 2}"""


def test_two_processes_write_one_checkpoint(
    checkpoint: Path, text_folder: Path, chains: Path, tmp_path: Path
) -> None:
    mine = write_recipe(tmp_path, RL, checkpoint, text_folder, chains)
    launch = ["torch.distributed.run", "--nproc-per-node=2", "--standalone"]
    command = [*launch, "-m", "training.cli", "train", str(mine), "--out", str(tmp_path / "run")]
    subprocess.run([sys.executable, "-m", *command], capture_output=True, check=True, timeout=300)
    record = json.loads((tmp_path / "run" / "rl" / RECORD_FILE).read_text())
    assert [stage["processes"] for stage in record["stages"]] == [2, 2]
    assert [stage["steps"] for stage in record["stages"]] == [4, 2]


def test_a_checkpoint_without_its_record_is_written_again(
    recipe: MakeRecipe, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = recipe("cot-sft")

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr("training.curves.page.write_curves", interrupt)
        train(settings, tmp_path / "run")
    before = weights(tmp_path / "run" / "cot-sft")
    assert not (tmp_path / "run" / "cot-sft" / RECORD_FILE).exists()
    assert weights(train(settings, tmp_path / "run")) == before
    assert (tmp_path / "run" / "cot-sft" / RECORD_FILE).exists()


def test_a_single_stage_needs_its_parent(recipe: MakeRecipe, tmp_path: Path) -> None:
    settings = recipe("vm-cpt-cot-sft")
    with pytest.raises(UserError, match=r"vm-cpt: expected the checkpoint that cot-sft starts from"):
        train(settings, tmp_path / "run", only="cot-sft")
    assert train(settings, tmp_path / "run", only="vm-cpt") == tmp_path / "run" / "vm-cpt"
    assert train(settings, tmp_path / "run", only="cot-sft") == tmp_path / "run" / "cot-sft"
    with pytest.raises(UserError, match="stage: expected one of vm-cpt, cot-sft for vm-cpt-cot-sft, got rl"):
        train(settings, tmp_path / "run", only="rl")


def test_a_run_resumes_only_with_the_same_recipe(recipe: MakeRecipe, tmp_path: Path) -> None:
    settings = recipe("vm-cpt-cot-sft")
    train(settings, tmp_path / "run", only="vm-cpt")
    with pytest.raises(UserError, match=r"^seed: .* with seed 0, but 1 was requested"):
        train(recipe("vm-cpt-cot-sft", seed=1), tmp_path / "run")


def test_settings_of_a_stage_may_change_until_it_starts(recipe: MakeRecipe, tmp_path: Path) -> None:
    """Otherwise a mistake in the settings of a stage would cost the finished stages before it."""
    run, with_settings = tmp_path / "run", partial(recipe, "vm-cpt-cot-sft")
    train(with_settings(**{"cot-sft": {"learning_rate": 1.0}}), run, only="vm-cpt")
    with pytest.raises(UserError, match=r"^sft\.vm-cpt\.learning_rate: .* with learning rate"):
        train(with_settings(**{"vm-cpt": {"learning_rate": 1.0}}), run)
    with pytest.raises(UserError, match=r"learning_rate, delete .*cot-sft"):
        train(with_settings(**{"cot-sft": {"learning_rate": 1e30}}), run)
    (run / ".cot-sft" / "checkpoint-2").mkdir()
    with pytest.raises(UserError, match=f"partly trained with other settings; delete {run}/.cot-sft"):
        train(with_settings(), run)
    shutil.rmtree(run / ".cot-sft")
    train(with_settings(), run)
    rate = config.load("cot-sft", "tiny", base="b", data=[{"benchmark": "x"}]).sft["cot-sft"].learning_rate
    stored = json.loads((run / "recipe.json").read_text())["recipe"]["sft"]["cot-sft"]["learning_rate"]
    used = json.loads((run / RECORD_FILE).read_text())["stages"][1]["settings"]["learning_rate"]
    assert stored == used == rate


def test_problems_of_a_later_stage_are_reported_at_once(
    recipe: MakeRecipe, text_folder: Path, tmp_path: Path
) -> None:
    rl = {"prompts": 9, "responses": 4, "micro_batch": 4}
    with pytest.raises(UserError, match=r"rl.prompts: expected at most .* training instances, 8, got 9"):
        train(recipe("cot-sft-grpo", rl=rl), tmp_path / "run")
    without_chains = [{"benchmark": text_folder, "cot": tmp_path / "nope"}]
    with pytest.raises(UserError, match="the folder of a `trimpi cot` command, got no such folder"):
        train(recipe("direct-sft", data=without_chains), tmp_path / "run")
    assert not (tmp_path / "run").exists()


def test_a_wrong_base_does_not_reserve_the_folder(recipe: MakeRecipe, tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"checkpoint.*hub"):
        train(recipe("cot-sft", base="./a/b/c"), tmp_path / "run")
    reserve_run(tmp_path / "run", recipe("cot-sft"), ())


def test_two_processes_do_not_train_in_one_folder(recipe: MakeRecipe, tmp_path: Path) -> None:
    settings = recipe("cot-sft")
    train(settings, tmp_path / "run")
    with store.locked(tmp_path / "run" / LOCK), pytest.raises(UserError, match="another process"):
        train(settings, tmp_path / "run")


def test_chains_of_another_benchmark_are_refused(
    recipe: MakeRecipe, visual_folder: Path, chains: Path, tmp_path: Path
) -> None:
    with pytest.raises(UserError, match="digest"):
        train(recipe("cot-sft", data=[{"benchmark": visual_folder, "cot": chains}]), tmp_path / "run")


def test_a_loss_that_is_not_finite_stops_training_and_keeps_finished_stages(
    recipe: MakeRecipe, tmp_path: Path
) -> None:
    settings = recipe("vm-cpt-cot-sft", **{"cot-sft": {"learning_rate": 1e30}})
    with pytest.raises(
        UserError, match=r"step \d+: expected a finite \w+, got (nan|inf); lower learning_rate"
    ):
        train(settings, tmp_path / "run")
    assert (tmp_path / "run" / "vm-cpt" / RECORD_FILE).exists()
    assert not (tmp_path / "run" / "cot-sft").exists()


def test_a_batch_that_does_not_divide_is_refused(recipe: MakeRecipe) -> None:
    with pytest.raises(UserError, match="multiple of micro_batch"):
        recipe("cot-sft", **{"cot-sft": {"batch_size": 3}})
