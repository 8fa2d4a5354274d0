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
        tokenizer = processor.tokenizer
        ends = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}
        added = tokenizer.added_tokens_decoder.items()
        self.special = torch.tensor(sorted(i for i, token in added if token.special and i not in ends))
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
        batch["labels"][self._given(batch["input_ids"])] = IGNORED
        return batch

    def _given(self, ids: torch.Tensor) -> torch.Tensor:
        """Which of (B, T) tokens stand for pictures, or are special ones in a row with such.

        Only the Qwen family names all its marks; Idefics3 has others before each of a picture's tiles.
        """
        given, special = torch.isin(ids, self.visual), torch.isin(ids, self.special)
        while True:
            beside = given.clone()
            beside[:, 1:] |= given[:, :-1]
            beside[:, :-1] |= given[:, 1:]
            more = given | (beside & special)
            if torch.equal(more, given):
                return given
            given = more
