"""Recipes at every scale, recipe files of the user, and settings that are refused."""

from pathlib import Path
from typing import Any

import pytest
import torch

from harness.errors import UserError
from training import config
from training.curves.history import RECORD_FILE
from training.train import reserve_run
from training.trainers import devices

REQUIRED: dict[str, Any] = {"base": "base", "data": [{"benchmark": "bench", "cot": "chains"}]}


@pytest.mark.parametrize("scale", config.names(config.SCALES))
@pytest.mark.parametrize("name", config.names(config.RECIPES))
def test_every_recipe_loads_at_every_scale(name: str, scale: str) -> None:
    recipe = config.load(name, scale, **REQUIRED)
    assert (recipe.name, recipe.scale) == (name, scale)
    assert ("rl" in recipe.stages) <= (recipe.rl is not None)


def test_titles_are_unique_and_in_the_order_of_the_paper() -> None:
    titles = config.recipe_titles()
    assert sorted(titles) == config.names(config.RECIPES)
    assert len(set(titles.values())) == len(titles)
    orders = [contents["order"] for contents in config.recipe_files().values()]
    assert orders == sorted(set(orders))
    paper = ["Direct SFT", "CoT SFT", "VM-CPT + CoT SFT", "CoT SFT + GRPO", "CoT SFT + DAPO"]
    assert [title for title in titles.values() if title in paper] == paper


def test_a_title_is_not_inherited(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('extends = "cot-sft"')
    assert config.recipe_title(str(mine)) == "mine"
    mine.write_text('extends = "cot-sft"\ntitle = "Mine"')
    assert config.recipe_title(str(mine)) == "Mine"
    assert config.load(str(mine), "tiny", **REQUIRED).name == "mine"
    mine.unlink()
    assert config.recipe_title(str(mine)) == "mine"


def test_the_methods_of_the_paper() -> None:
    def loaded(name: str) -> config.Recipe:
        return config.load(name, "paper-clevr", **REQUIRED)

    assert loaded("trimpi-poro-dapo").stages == ("vm-cpt", "cot-sft", "rl")
    tuned = {name: loaded(name).rl for name in ("cot-sft-dapo", "trimpi-grpo", "trimpi-poro-grpo")}
    assert {n: (rl.algorithm, rl.policy_rollout) for n, rl in tuned.items() if rl} == {
        "cot-sft-dapo": ("dapo", False),
        "trimpi-grpo": ("grpo", False),
        "trimpi-poro-grpo": ("grpo", True),
    }


def test_competing_methods() -> None:
    loaded = {name: config.load(name, "paper-clevr", **REQUIRED) for name in config.names(config.RECIPES)}
    taught = {name: (r.rl.teacher.method, r.stages) for name, r in loaded.items() if r.rl and r.rl.teacher}
    with_chains = ("cot-sft", "rl")
    assert taught == {
        "opcd": ("opcd", ("rl",)),
        "cot-sft-opcd": ("opcd", with_chains),
        "opsd-rl": ("opsd-rl", with_chains),
        "rlsd": ("rlsd", with_chains),
        "sdar": ("sdar", with_chains),
    }
    cited = {name for name, recipe in loaded.items() if recipe.rl and recipe.rl.citation_weight}
    assert cited == {"pa3"} and loaded["pa3"].stages == with_chains
    assert loaded["distillation"].stages == loaded["distillation-right"].stages == ("cot-sft",)


def test_a_recipe_file_states_only_what_differs(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text(
        'extends = "cot-sft"\nscale = "tiny"\nbase = "b"\ndata = [{benchmark = "x"}]\nsft.cot-sft.epochs = 1'
    )
    recipe, stock = config.load(str(mine)), config.load("cot-sft", "tiny", **REQUIRED)
    assert recipe.sft["cot-sft"].epochs == 1
    assert recipe.sft["cot-sft"].learning_rate == stock.sft["cot-sft"].learning_rate
    assert config.load(str(mine), seed=7).seed == 7
    assert config.load(str(mine), seed=None).seed == 0


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"stagse": []}, "unknown key 'stagse'"),
        ({"rl": {"lerning_rate": 1}}, "unknown key 'rl.lerning_rate'; expected one of algorithm"),
        ({"sft": {"cot-sft": {"epoch": 1}}}, "unknown key 'sft.cot-sft.epoch'; expected one of batch_size"),
        ({"data": [{"bench": "x"}]}, "missing required field `benchmark`, at `data"),
        ({"data": [{"benchmark": "x", "wait": 1}]}, "unknown key 'data.wait'; expected one of benchmark"),
        ({"stages": ["sft"]}, "'sft'"),
        ({"stages": ["rl", "rl"]}, "each once"),
        ({"base": 3}, "`base`"),
        ({"sft": {"cot-sft": {"learning_rate": 0}}}, "learning_rate: expected above 0"),
        ({"sft": {"cot-sft": {"batch_size": 10}}}, "multiple of micro_batch 16"),
        ({"sft": {"cot-sft": {"weight_decay": -0.1}}}, "weight_decay: expected 0 or more"),
        ({"sft": {"cot-sft": {"warmup_ratio": 10}}}, "warmup_ratio: expected 0 or more and below 1, got 10"),
        ({"sft": {"cot-sft": {"loss": "mean"}}}, "'mean'"),
        ({"sft": {"cot-sft": {"trl": 3}}}, "Expected `object`, got `int`, at `sft"),
        ({"min_pixels": 0}, "min_pixels: expected above 0, got 0"),
        ({"sft": "cot"}, "settings by stage, .* vm-cpt, direct-sft, cot-sft, prompt-sft, got 'cot'"),
        ({"sft": {"learning_rate": 1}}, "settings by stage, .*, got learning_rate"),
        ({"sft": {"cot_sft": {"epochs": 1}}}, "settings by stage, .*, got cot_sft"),
        ({"rl": {"policy_rollout": True, "responses": 7, "prompts": 64}}, "even number"),
        ({"rl": {"responses": 1}}, "2 or more"),
        ({"rl": {"prompts": 15, "micro_batch": 64}}, "multiple of updates x micro_batch"),
        ({"rl": {"format_weight": 2}}, "0..1"),
        ({"rl": {"citation_weight": 0.95}}, "citation_weight: expected 0..0.9, what format_weight leaves"),
        ({"rl": {"teacher": {"method": "opcd", "temperature": 1}}}, "unknown key 'rl.teacher.temperature'"),
        ({"rl": {"teacher": {"method": "ppo"}}}, "'ppo', at `rl.teacher.method"),
        ({"rl": {"teacher": {"weight": 1}}}, "missing required field `method`"),
        ({"rl": {"teacher": {"method": "rlsd", "weight": 2}}}, "teacher.weight: expected 0..1"),
        ({"rl": {"warmup_steps": -1}}, "warmup_steps: expected 0 or more"),
        ({"rl": {"algorithm": "ppo"}}, "'ppo'"),
        ({"rl": {"max_steps": 0}}, "max_steps: expected above 0"),
        ({"rl": {"tries": 0}}, "tries: expected above 0"),
        ({"rl": {"top_p": 1.5}}, "top_p: expected above 0 and at most 1, got 1.5"),
        ({"rl": {"weight_decay": -1}}, "weight_decay: expected 0 or more"),
        ({"rl": {"dual_clip": 1.0}}, "dual_clip: expected above 1.3 or no value, got 1.0"),
        ({"rl": {"vllm_server": "http://127.0.0.1:80000"}}, "vllm_server: expected an address such as"),
        ({"rl": {"overlong": "cut"}}, "'cut'"),
        ({"rl": {"overlong": "penalty"}}, r"overlong_buffer: expected 1\.\.128 tokens .*, got 0"),
        ({"rl": {"trl": 1}}, r"Expected `object`, got `int`, at `rl.trl`"),
    ],
)
def test_wrong_settings_are_refused(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        config.load("cot-sft-grpo", "tiny", **{**REQUIRED, **change})


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ('extends = ["cot-sft"]', r"or a TOML file, got \['cot-sft'\]"),
        ('extends = "cot-sft"\nscale = 3', "expected one of paper-clevr.* or a TOML file, got 3"),
        ('extends = "../own/mine.toml"', "does not extend itself"),
    ],
)
def test_extending_something_else_is_refused(tmp_path: Path, text: str, message: str) -> None:
    mine = tmp_path / "own" / "mine.toml"
    mine.parent.mkdir()
    mine.write_text(text)
    with pytest.raises(UserError, match=message):
        config.load(str(mine), **REQUIRED)


def test_one_process_with_several_gpus_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(UserError, match=r"accelerate launch .* CUDA_VISIBLE_DEVICES"):
        devices.process_state()


@pytest.mark.parametrize(
    ("arguments", "message"), [({"data": REQUIRED["data"]}, "--base"), ({"base": "b"}, "--data")]
)
def test_missing_arguments_are_named(arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=message):
        config.load("cot-sft", "tiny", **arguments)


def test_errors_list_the_existing_names() -> None:
    with pytest.raises(UserError, match=r"expected cot-sft, .* or a TOML file"):
        config.load("sft", "tiny", **REQUIRED)
    with pytest.raises(UserError, match=r"paper-clevr, paper-gta, tiny"):
        config.load("cot-sft", **REQUIRED)


@pytest.mark.parametrize(
    ("changes", "digest", "message"),
    [
        ({"seed": 1}, "a", "seed: .* with seed 0, but 1 was requested"),
        ({"base": "c"}, "a", "base: .* with base 'b', but 'c' was requested"),
        ({"data": [{"benchmark": "z"}]}, "a", "data: .* with benchmark 'x', but 'z' was requested"),
        ({}, "b", "data: .* with another digest"),
        (
            {"sft": {"direct-sft": {"epochs": 7}}},
            "a",
            r"sft\.direct-sft\.epochs: .* but 7.0 was",
        ),
        (
            {"sft": {"direct-sft": {"trl": {"optim": "sgd"}}}},
            "a",
            ".*: direct-sft is trained with no tables, but {'trl': {'optim': 'sgd'}} was requested",
        ),
    ],
)
def test_a_conflict_names_what_was_typed(
    changes: dict[str, object], digest: str, message: str, tmp_path: Path
) -> None:
    def reserve(digest: str, **changes: object) -> None:
        settings = {"base": "b", "data": [{"benchmark": "x"}]} | changes
        recipe = config.load("direct-sft", "tiny", **settings)
        reserve_run(tmp_path, recipe, ({"digest": digest * 64},))

    reserve("a")
    (tmp_path / "direct-sft").mkdir()
    (tmp_path / "direct-sft" / RECORD_FILE).write_text("{}")
    reserve("a")
    with pytest.raises(UserError, match=f"^{message}"):
        reserve(digest, **changes)
