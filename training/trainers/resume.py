"""Exact resuming: two things that transformers and TRL do not restore when an interrupted run continues.

With both, a run that was killed ends with the weights of one that was not.

1. Weights. A Trainer saves them under the names of published checkpoints and loads them under the names of
   the model in memory. Where the two differ, as in Qwen2.5-VL, it loads none of them and only logs this, so
   training would continue from the base model.
2. The order of prompts. TRL's sampler has a generator that starts from the seed in every process, so a run
   resumed in its second epoch would repeat the order of the first.
"""

from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import Sampler
from transformers import PreTrainedModel

from harness.seeds import rng
from training.checkpoints.trained import load_saved


class ResumeMixin:
    """Loads the saved weights correctly. Must come before a Trainer among the bases of a class."""

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        """Replaces Trainer._load_from_checkpoint."""
        trainer: Any = self
        # Adapters and shards are saved in other ways, which keep the names.
        if not isinstance(trainer.model, PreTrainedModel) or trainer.is_fsdp_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)  # type: ignore[misc]
            return
        saved = load_saved(type(trainer.model), resume_from_checkpoint, trainer.model.dtype)
        trainer.model.load_state_dict(saved.state_dict())


class EpochOrderSampler(Sampler[int]):
    """TRL's sampler of prompts, in an order that depends on seed and epoch alone."""

    def __init__(self, sampler: Any, epoch: Callable[[], int]) -> None:
        self.sampler, self.epoch = sampler, epoch

    def __iter__(self) -> Iterator[int]:
        generator = rng(self.sampler.seed, "order", self.epoch())
        self.sampler.generator.manual_seed(generator.getrandbits(63))
        return iter(self.sampler)

    def __len__(self) -> int:
        return len(self.sampler)
