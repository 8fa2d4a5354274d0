"""Gradients of the first update of CoT SFT on four rows, of one process or of each of several."""

from pathlib import Path
from typing import Any

import torch
from transformers import TrainerCallback

from training import config
from training.sequences.dataset import Mixture
from training.stages import make_trainer

LOSSES = ("sequence", "token")
Gradients = dict[str, torch.Tensor]


class GradientRecorder(TrainerCallback):  # type: ignore[misc]
    def __init__(self) -> None:
        self.gradients: Gradients = {}

    def on_pre_optimizer_step(self, *_: Any, model: Any, **__: Any) -> None:
        grads = {name: weight.grad for name, weight in model.named_parameters()}
        self.gradients = {name: grad.clone() for name, grad in grads.items() if grad is not None}


def make(checkpoint: Path, data: dict[str, Path], out: Path, **settings: Any) -> Any:
    """A trainer whose only update has all four rows, whose gradient is not clipped."""
    settings = {"batch_size": 4, "epochs": 1, "trl": {"max_grad_norm": 0.0}} | settings
    base = {"base": str(checkpoint), "data": [data]}
    recipe = config.load("cot-sft", "tiny", **base, sft={"cot-sft": settings}, save_steps=1000)
    trainer = make_trainer(recipe, "cot-sft", str(checkpoint), out, Mixture(recipe.data, recipe.stages))
    trainer.args.save_strategy, trainer.args.report_to = "no", []
    return trainer


def train(trainer: Any) -> tuple[Gradients, float]:
    """The gradients of its update, and the loss that was logged."""
    recorder = GradientRecorder()
    trainer.add_callback(recorder)
    trainer.train()
    return recorder.gradients, trainer.state.log_history[0]["loss"]


def main(checkpoint: Path, benchmark: Path, cot: Path, out: Path) -> None:
    results = {
        (loss, size): train(
            make(checkpoint, {"benchmark": benchmark, "cot": cot}, out, loss=loss, micro_batch=size)
        )
        for loss in LOSSES
        for size in (1, 2)
    }
    rank = torch.distributed.get_rank()
    torch.save(results, out / f"{rank}.pt")
