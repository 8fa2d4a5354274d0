"""Fields of TRL's configuration in a recipe: known ones are passed on, all others are refused."""

from typing import Any

import pytest
from trl import SFTConfig

from harness.errors import UserError
from training.trainers.trl_fields import make_config, named_refusals


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"neftune_noise_alpha": 5, "optim": "adafactor"},
        {"lr_scheduler_type": "cosine_with_min_lr", "lr_scheduler_kwargs": {"min_lr": 1e-6}},
    ],
)
def test_known_fields_are_kept(fields: dict[str, Any]) -> None:
    made = make_config(SFTConfig, {"bf16": False}, fields, ["seed"], "rl.trl")
    assert {name: getattr(made, name) for name in fields} == fields


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        (
            "neftune_noise",
            5,
            "TRL's SFTConfig, got an unknown name; use neftune_noise_alpha",
        ),
        ("seed", 1, "follows from the recipe's other settings or has no effect here; remove it"),
        ("save_only_model", True, "remove it"),
        ("logging_strategy", "no", "remove it"),
        ("neftune_noise_alpha", "five", "Expected `float | null`, got `str`; correct its value"),
    ],
)
def test_other_fields_are_refused(name: str, value: Any, message: str) -> None:
    with pytest.raises(UserError) as caught:
        make_config(SFTConfig, {"bf16": False}, {"optim": "sgd", name: value}, ["seed"], "rl.trl")
    assert str(caught.value).startswith(f"rl.trl.{name}: ")
    assert str(caught.value).endswith(message)


def test_an_error_that_mentions_no_field_stays_as_it_is() -> None:
    with pytest.raises(ValueError, match=r"^a defect$"), named_refusals({"optim": "sgd"}, "rl.trl"):
        raise ValueError("a defect")
