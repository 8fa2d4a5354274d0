"""The warm-up of a learning rate, as transformers logs it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from torch.utils.data import Dataset
from transformers import Trainer, TrainingArguments

from training.rl.rollout import PolicyRolloutTrainer
from training.stages import SupervisedTrainer
from training.trainers.warmup import WarmupMixin

RATE, UPDATES = 1.0, 8


class Rows(Dataset[Any]):
    def __len__(self) -> int:
        return UPDATES

    def __getitem__(self, index: int) -> Any:
        return {"x": torch.tensor([1.0])}


class Slope(torch.nn.Module):
    """Has a gradient of 1, so plain SGD moves its weight by the learning rate."""

    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))

    def forward(self, x: Any) -> Any:
        return {"loss": (self.weight * x).sum()}


class WarmTrainer(WarmupMixin, Trainer):  # type: ignore[misc]
    pass


def learning_rates(trainer_class: Any, out: Path, **settings: Any) -> list[float]:
    arguments = TrainingArguments(
        output_dir=str(out), learning_rate=RATE, optim="sgd", per_device_train_batch_size=1, logging_steps=1,
        report_to=[], use_cpu=True, save_strategy="no", disable_tqdm=True, max_grad_norm=0.0, **settings,
    )  # fmt: skip
    trainer = trainer_class(model=Slope(), args=arguments, train_dataset=Rows())
    trainer.train()
    rates = [entry["learning_rate"] for entry in trainer.state.log_history if "learning_rate" in entry]
    # What is logged is what was used.
    assert trainer.model.weight.item() == pytest.approx(-sum(rates))
    return rates


def test_the_first_update_has_a_learning_rate(tmp_path: Path) -> None:
    rates = learning_rates(
        WarmTrainer, tmp_path, lr_scheduler_type="constant_with_warmup", warmup_steps=3, num_train_epochs=1
    )
    assert rates == pytest.approx([0.25, 0.5, 0.75, 1, 1, 1, 1, 1])


def test_after_the_warmup_the_schedule_is_unchanged(tmp_path: Path) -> None:
    settings = {"lr_scheduler_type": "linear", "warmup_steps": 0.5, "num_train_epochs": 1}
    plain, ours = (learning_rates(made, tmp_path, **settings) for made in (Trainer, WarmTrainer))
    assert plain[0] == 0
    assert ours[:4] == pytest.approx([0.2, 0.4, 0.6, 0.8]) and ours[4:] == plain[4:]
    assert min(ours) > 0


@pytest.mark.parametrize("kind", ["constant_with_warmup", "linear", "cosine"])
def test_without_a_warmup_nothing_changes(tmp_path: Path, kind: str) -> None:
    plain, ours = (
        learning_rates(made, tmp_path, lr_scheduler_type=kind, num_train_epochs=1)
        for made in (Trainer, WarmTrainer)
    )
    assert ours == plain and plain[0] == RATE


def test_every_stage_has_it() -> None:
    assert issubclass(SupervisedTrainer, WarmupMixin) and issubclass(PolicyRolloutTrainer, WarmupMixin)
    for trainer in (SupervisedTrainer, PolicyRolloutTrainer):
        assert trainer.create_scheduler is WarmupMixin.create_scheduler
