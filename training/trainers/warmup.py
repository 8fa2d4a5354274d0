"""A warm-up without a lost update: the schedules of transformers begin with a learning rate of 0."""

from collections.abc import Callable
from functools import partial
from typing import Any

from torch.optim.lr_scheduler import LambdaLR


class WarmupMixin:
    """Changes only the warm-up of a schedule. Must come before a Trainer among the bases of a class.

    With W updates of warm-up the first one has the learning rate 1 / (W + 1), and the one after them the full
    learning rate.
    """

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Extends Trainer.create_scheduler, whose schedules are factors of the learning rate by update."""
        trainer: Any = self
        scheduler = super().create_scheduler(num_training_steps, optimizer)  # type: ignore[misc]
        warmup = trainer.args.get_warmup_steps(num_training_steps)
        if not warmup:
            return scheduler
        factors: list[Callable[[int], float]] = [
            partial(_factor, warmup, schedule) for schedule in scheduler.lr_lambdas
        ]
        trainer.lr_scheduler = LambdaLR(scheduler.optimizer, factors)
        return trainer.lr_scheduler


def _factor(warmup: int, schedule: Any, update: int) -> float:
    return (update + 1) / (warmup + 1) if update < warmup else float(schedule(update))
