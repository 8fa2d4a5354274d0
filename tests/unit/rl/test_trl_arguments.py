"""Arguments of TRL in a recipe: any of the installed version that the trainer does not set itself."""

from pathlib import Path
from typing import Any

import pytest

from harness.errors import UserError
from training import config
from training.check import check_stages
from training.rl.trainer import rl_config
from training.stages import trainer_arguments
from training.train import train


def made(tmp_path: Path, **trl: Any) -> Any:
    data = [{"benchmark": "bench"}]
    recipe = config.load("rl-from-base", "tiny", base="base", data=data, rl={"trl": trl})
    assert recipe.rl is not None
    return rl_config(recipe.rl, trainer_arguments(recipe, tmp_path))


def test_they_reach_trl(tmp_path: Path) -> None:
    given = {"vllm_gpu_memory_utilization": 0.5, "vllm_enable_sleep_mode": True, "beta": 0.05}
    arguments = made(tmp_path, **given)
    assert {name: getattr(arguments, name) for name in given} == given


def test_they_are_written_as_a_table_in_a_recipe(tmp_path: Path) -> None:
    mine = tmp_path / "mine.toml"
    mine.write_text('extends = "rl-from-base"\nrl.trl.vllm_gpu_memory_utilization = 0.5\nrl.trl.top_k = 5')
    recipe = config.load(str(mine), "tiny", base="base", data=[{"benchmark": "bench"}])
    assert recipe.rl is not None
    assert recipe.rl.trl == {"vllm_gpu_memory_utilization": 0.5, "top_k": 5}


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vllm_gpu_utilization", "of the installed TRL's GRPOConfig, .* use vllm_gpu_memory_utilization"),
        ("temperature", "that the trainer leaves to you"),
        ("seed", "that the trainer leaves to you"),
    ],
)
def test_others_are_refused(tmp_path: Path, name: str, message: str) -> None:
    with pytest.raises(UserError, match=rf"^rl\.trl\.{name}: expected a field {message}"):
        made(tmp_path, **{name: 1})


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"loss_type": "dago"},
            r"loss_type: expected one of bnpo, .*, vespo, according to .*, got 'dago'; c",
        ),
        ({"scale_rewards": "nope"}, r"scale_rewards: expected one of False, True, batch, group, none, acc"),
        ({"beta": 0.1, "optim": "zigzag"}, r"optim: TRL does not take 'zigzag': ValueError: zigzag is not a"),
        (
            {"torch_empty_cache_steps": 0},
            r"torch_empty_cache_steps: TRL does not take 0: ValueError: .*got 0",
        ),
    ],
)
def test_a_wrong_value_is_refused_by_its_name(tmp_path: Path, fields: dict[str, Any], message: str) -> None:
    with pytest.raises(UserError, match=rf"^rl\.trl\.{message}"):
        made(tmp_path, **fields)


def test_text_that_is_not_one_of_a_fixed_set_is_taken(tmp_path: Path) -> None:
    assert made(tmp_path, project="mine", vllm_server_host="gpu1").project == "mine"


def load(base: Path, folder: Path, **trl: Any) -> config.Recipe:
    rl = {"prompts": 2, "micro_batch": 8, "max_new_tokens": 4, "trl": trl}
    return config.load("rl-from-base", "tiny", base=str(base), data=[{"benchmark": folder}], rl=rl)


@pytest.mark.parametrize("fields", [{"seed": 1}, {"optim": "zigzag"}])
def test_they_are_refused_before_the_first_stage(
    fields: dict[str, Any], checkpoint: Path, text_folder: Path
) -> None:
    recipe = load(checkpoint, text_folder, **fields)
    with pytest.raises(UserError, match=rf"^rl\.trl\.{next(iter(fields))}"):
        check_stages(recipe, recipe.stages, recipe.base)


@pytest.mark.parametrize("fields", [{"min_p": 3.0}, {"adam_beta1": 3.0}])
def test_a_value_that_is_read_late_is_refused_by_its_name_too(
    fields: dict[str, Any], checkpoint: Path, text_folder: Path, tmp_path: Path
) -> None:
    """The corrected command runs in the same folder."""
    [name] = fields
    with pytest.raises(
        UserError, match=rf"^rl\.trl\.{name}: TRL does not take 3\.0: ValueError: .*; correct"
    ):
        train(load(checkpoint, text_folder, **fields), tmp_path / "run")
    assert not any((tmp_path / "run" / ".rl").glob("*"))
