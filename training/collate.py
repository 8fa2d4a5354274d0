"""Which tokens are learned: those of the response, or all that are not visual (VM-CPT)."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

import torch
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from harness.errors import UserError

IGNORED = -100
"""The label that PyTorch's cross entropy leaves out."""


class Collator(DataCollatorForVisionLanguageModeling):  # type: ignore[misc]
    """TRL's collator of images and text, which masks only padding and prompt, with visual tokens masked too.

    Nothing is truncated: a sequence that does not fit is an error that names its instance.
    """

    def __init__(self, processor: Any, whole: bool, visual: Collection[int], limit: int | None) -> None:
        super().__init__(processor, completion_only_loss=not whole)
        self.visual = torch.tensor(sorted(visual))
        self.limit = limit

    def torch_call(self, examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Tensors input_ids, attention_mask and labels of shape (B, T), and the pixels of all images."""
        batch: dict[str, Any] = super().torch_call(list(examples))
        lengths = batch["attention_mask"].sum(1).tolist()
        for example, length in zip(examples, lengths, strict=True):
            if self.limit is not None and length > self.limit:
                raise UserError(
                    f"{example['id']}: expected a sequence of at most {self.limit} tokens, the positions of "
                    f"the checkpoint, got {length}; nothing is truncated, so take a shorter policy or "
                    "smaller pictures"
                )
        # Pictures and the marks around them are given, never predicted (paper, TriMPI, stage 1).
        batch["labels"][torch.isin(batch["input_ids"], self.visual)] = IGNORED
        return batch
