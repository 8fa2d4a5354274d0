"""Recipes: every method at every scale, what a file of one's own changes, and what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from harness.errors import UserError
from training import config, devices

GIVEN: dict[str, Any] = {"base": "base", "data": [{"benchmark": "bench", "cot": "chains"}]}


@pytest.mark.parametrize("scale", config.names(config.SCALES))
@pytest.mark.parametrize("name", config.names(config.RECIPES))
def test_every_recipe_is_whole_at_every_scale(name: str, scale: str) -> None:
    recipe = config.load(name, scale, **GIVEN)
    assert (recipe.name, recipe.scale) == (name, scale)
    assert ("rl" in recipe.stages) <= (recipe.rl is not None)


def test_the_rows_of_the_papers_table() -> None:
    def loaded(name: str) -> config.Recipe:
        return config.load(name, "paper-clevr", **GIVEN)

    assert loaded("trimpi-poro-dapo").stages == ("vm-cpt", "cot-sft", "rl")
    tuned = {name: loaded(name).rl for name in ("cot-sft-dapo", "trimpi-grpo", "trimpi-poro-grpo")}
    assert {n: (rl.algorithm, rl.policy_rollout) for n, rl in tuned.items() if rl} == {
        "cot-sft-dapo": ("dapo", False),
        "trimpi-grpo": ("grpo", False),
        "trimpi-poro-grpo": ("grpo", True),
    }


def test_a_file_of_ones_own_states_only_what_differs(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(
        'extends = "cot-sft"\nscale = "tiny"\nbase = "b"\ndata = [{benchmark = "x"}]\nsft.cot-sft.epochs = 1'
    )
    recipe, stock = config.load(str(mine)), config.load("cot-sft", "tiny", **GIVEN)
    assert recipe.sft["cot-sft"].epochs == 1
    assert recipe.sft["cot-sft"].learning_rate == stock.sft["cot-sft"].learning_rate
    assert config.load(str(mine), seed=7).seed == 7
    assert config.load(str(mine), seed=None).seed == 0


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"stagse": []}, "unknown key 'stagse'"),
        ({"rl": {"lerning_rate": 1}}, "rl: unknown key 'lerning_rate'"),
        ({"sft": {"cot-sft": {"epoch": 1}}}, "sft.cot-sft: unknown key 'epoch'"),
        ({"data": [{"bench": "x"}]}, "data: unknown key 'bench'"),
        ({"stages": ["sft"]}, "'sft'"),
        ({"stages": ["rl", "rl"]}, "each once"),
        ({"base": 3}, "`base`"),
        ({"sft": {"cot-sft": {"learning_rate": 0}}}, "learning_rate: expected above 0"),
        ({"sft": {"cot-sft": {"batch_size": 10}}}, "multiple of micro_batch 16"),
        ({"sft": {"cot-sft": {"weight_decay": -0.1}}}, "weight_decay: expected 0 or more"),
        ({"sft": {"cot-sft": {"warmup_ratio": 10}}}, "warmup_ratio: expected 0 or more and below 1, got 10"),
        ({"sft": "cot"}, "settings by stage, .* vm-cpt, direct-sft, cot-sft, prompt-sft, got 'cot'"),
        ({"sft": {"learning_rate": 1}}, "settings by stage, .*, got learning_rate"),
        ({"sft": {"cot_sft": {"epochs": 1}}}, "settings by stage, .*, got cot_sft"),
    ],
)
def test_what_a_recipe_must_not_say(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        config.load("cot-sft", "tiny", **{**GIVEN, **change})


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"policy_rollout": True, "responses": 7, "prompts": 64}, "even number"),
        ({"responses": 1}, "2 or more"),
        ({"prompts": 15, "micro_batch": 64}, "multiple of updates x micro_batch"),
        ({"format_weight": 2}, "0..1"),
        ({"warmup_steps": -1}, "warmup_steps: expected 0 or more"),
        ({"algorithm": "ppo"}, "'ppo'"),
        ({"max_steps": 0}, "max_steps: expected above 0"),
        ({"retries": -1}, "retries: expected 0 or more"),
    ],
)
def test_what_reinforcement_learning_must_not_be_asked(change: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        config.load("cot-sft-grpo", "tiny", **GIVEN, rl=change)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ('extends = ["cot-sft"]', r"or a TOML file, got \['cot-sft'\]"),
        ('extends = "cot-sft"\nscale = 3', "expected a name out of paper-clevr.* or a TOML file, got 3"),
        ('extends = "../own/mine.toml"', "does not extend itself"),
    ],
)
def test_a_file_that_leads_nowhere(tmp_path: Path, text: str, said: str) -> None:
    mine = tmp_path / "own" / "mine.toml"
    mine.parent.mkdir()
    mine.write_text(text)
    with pytest.raises(UserError, match=said):
        config.load(str(mine), **GIVEN)


def test_one_process_does_not_take_several_gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match=r"accelerate launch .* CUDA_VISIBLE_DEVICES"):
        devices.processes()


@pytest.mark.parametrize(
    ("arguments", "said"), [({"data": GIVEN["data"]}, "--base"), ({"base": "b"}, "--data")]
)
def test_what_only_the_user_knows_is_asked_for(arguments: dict[str, Any], said: str) -> None:
    with pytest.raises(UserError, match=said):
        config.load("cot-sft", "tiny", **arguments)


def test_names_that_exist_are_listed() -> None:
    with pytest.raises(UserError, match=r"expected cot-sft, .* or a TOML file"):
        config.load("sft", "tiny", **GIVEN)
    with pytest.raises(UserError, match=r"paper-clevr, paper-gta, tiny"):
        config.load("cot-sft", **GIVEN)
