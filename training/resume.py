"""What transformers and TRL lose when a killed run goes on, put right: weights, and the order of prompts."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from torch.utils.data import Sampler
from transformers import PreTrainedModel

from harness.seeds import rng


class Resumes:
    """Goes before a Trainer among the bases of a class.

    A Trainer saves weights under the names that published checkpoints have and reads them under those of the
    model in memory. Where these differ, as in Qwen2.5-VL, not one is read: the run would go on from the base
    and only log it.
    """

    def _load_from_checkpoint(self, resume_from_checkpoint: str, model: Any = None) -> None:
        own: Any = self
        # Adapters and shards have ways of their own, which keep the names.
        if not isinstance(own.model, PreTrainedModel) or own.is_fsdp_enabled:
            super()._load_from_checkpoint(resume_from_checkpoint, model)  # type: ignore[misc]
            return
        saved = type(own.model).from_pretrained(resume_from_checkpoint, dtype=own.model.dtype)
        own.model.load_state_dict(saved.state_dict())


class EpochOrder(Sampler[int]):
    """TRL's sampler of prompts in an order that depends on seed and epoch alone.

    Its own generator starts anew when a run goes on, and a later epoch would repeat the first one's order.
    """

    def __init__(self, sampler: Any, epoch: Callable[[], int]) -> None:
        self.sampler, self.epoch = sampler, epoch

    def __iter__(self) -> Iterator[int]:
        order = rng(self.sampler.seed, "order", self.epoch())
        self.sampler.generator.manual_seed(order.getrandbits(63))
        return iter(self.sampler)

    def __len__(self) -> int:
        return len(self.sampler)
