"""Arguments of TRL in a recipe: any of the installed version that the trainer does not set itself."""

from pathlib import Path
from typing import Any

import pytest
from trl import GRPOConfig

from harness.errors import UserError
from training import config
from training.check import check_stages
from training.rl.trainer import rl_arguments
from training.stages import trainer_arguments


def arguments(tmp_path: Path, **trl: Any) -> dict[str, Any]:
    data = [{"benchmark": "bench"}]
    recipe = config.load("rl-from-base", "tiny", base="base", data=data, rl={"trl": trl})
    assert recipe.rl is not None
    return rl_arguments(recipe.rl, trainer_arguments(recipe, tmp_path))


def test_they_reach_trl(tmp_path: Path) -> None:
    given = {"vllm_gpu_memory_utilization": 0.5, "vllm_enable_sleep_mode": True, "beta": 0.05}
    made = GRPOConfig(**arguments(tmp_path, **given))
    assert {name: getattr(made, name) for name in given} == given


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
        arguments(tmp_path, **{name: 1})


def test_they_are_refused_before_the_first_stage(checkpoint: Path, text_folder: Path) -> None:
    data = [{"benchmark": text_folder}]
    recipe = config.load("rl-from-base", "tiny", base=str(checkpoint), data=data, rl={"trl": {"seed": 1}})
    with pytest.raises(UserError, match=r"^rl\.trl\.seed"):
        check_stages(recipe, recipe.stages, recipe.base)
