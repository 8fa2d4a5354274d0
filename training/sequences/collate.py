"""Batches of the supervised stages, and the tokens that their loss counts.

SFT learns the response. VM-CPT (visually masked continual pretraining) also learns the policy and the
question, but no visual token: images are input and are never predicted (paper, TriMPI, stage 1).

    tokens    user <vision_start> <image_pad> <image_pad> <vision_end> Which ... | <think> ... | <pad>
    SFT        -        -              -           -           -         -           loss          -
    VM-CPT    loss      -              -           -           -        loss         loss          -
"""

from collections.abc import Collection, Sequence
from typing import Any

import torch
from trl.trainer.sft_trainer import DataCollatorForVisionLanguageModeling

from harness.errors import UserError
from training.sequences.template import SequenceTemplate

# The label that PyTorch's cross entropy ignores.
IGNORED = -100


class MaskingCollator(DataCollatorForVisionLanguageModeling):  # type: ignore[misc]
    """TRL's collator masks padding and prompts. This one learns the prompt of a row with `prompt_loss`, and
    masks visual tokens.

    Nothing is truncated: a sequence of more than `limit` tokens is a UserError that names its instance.
    """

    def __init__(self, template: SequenceTemplate, visual: Collection[int], limit: int | None) -> None:
        processor = template.processor
        super().__init__(processor, completion_only_loss=True)
        self.template = template
        self.visual = torch.tensor(sorted(visual))
        tokenizer = processor.tokenizer
        text_marks = {tokenizer.bos_token_id, tokenizer.eos_token_id, tokenizer.pad_token_id}
        added = tokenizer.added_tokens_decoder.items()
        self.special = torch.tensor(sorted(i for i, token in added if token.special and i not in text_marks))
        self.limit = limit

    def torch_call(self, examples: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Tensors input_ids, attention_mask and labels of shape (B, T), and the pixels of all images."""
        rows = []
        for example in examples:
            # TRL would take the completion from the template, whose prompt may then differ from evaluation.
            prompt, completion = self.template.texts(example)
            rows.append({"prompt": prompt, "completion": completion, "images": example["images"]})
        batch: dict[str, Any] = super().torch_call(rows)
        lengths_B = batch["attention_mask"].sum(1).tolist()
        for example, length in zip(examples, lengths_B, strict=True):
            if self.limit is not None and length > self.limit:
                raise UserError(
                    f"{example['id']}: expected a sequence of at most {self.limit} tokens, the positions of "
                    f"the checkpoint, got {length}; sequences are not truncated, so use a shorter policy or "
                    "smaller images"
                )
        prompt_loss_B = torch.tensor([example["prompt_loss"] for example in examples])
        learned_BT = prompt_loss_B[:, None] & (batch["attention_mask"] == 1)
        batch["labels"] = torch.where(learned_BT, batch["input_ids"], batch["labels"])
        batch["labels"][self._visual_mask(batch["input_ids"])] = IGNORED
        return batch

    def _visual_mask(self, ids_BT: torch.Tensor) -> torch.Tensor:
        """Masks (B, T) image placeholders, and special tokens next to them, directly or through other ones.

        The neighbors matter because only the Qwen family names all its image marks in its config. Idefics3
        puts other special tokens before each tile of an image.
        """
        mask_BT, special_BT = torch.isin(ids_BT, self.visual), torch.isin(ids_BT, self.special)
        # Extend the mask by one special token to each side until nothing changes.
        while True:
            neighbors_BT = torch.zeros_like(mask_BT)
            neighbors_BT[:, 1:] |= mask_BT[:, :-1]
            neighbors_BT[:, :-1] |= mask_BT[:, 1:]
            extended_BT = mask_BT | (neighbors_BT & special_BT)
            if torch.equal(extended_BT, mask_BT):
                return mask_BT
            mask_BT = extended_BT
