"""The loss of the supervised stages: a mean over the learned tokens of a whole update.

    loss       = sum of weight x -log p(token) / sum of weight      over all passes and processes of an update
    "sequence"   weight = 1 / learned tokens of the sequence: the mean of each sequence, then over sequences
    "token"      weight = 1: the mean over all learned tokens

TRL divides by the tokens of an update only for architectures that ask for it. For others, such as Qwen2.5-VL
and Gemma 3, it takes the mean of each pass and then over passes, so the gradient depends on `micro_batch`.
"""

from collections.abc import Sequence
from typing import Any

import torch
from trl import SFTTrainer

from training.config import Loss
from training.sequences.collate import IGNORED


class WeightedTrainer(SFTTrainer):  # type: ignore[misc]
    """TRL's SFTTrainer with one of these losses."""

    def __init__(self, *args: Any, loss: Loss, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.loss = loss
        # The sum of the weights takes the place of num_items_in_batch, which Trainer would leave out, and
        # divides the loss of every pass, which Trainer would divide by the number of passes once more.
        self.model_accepts_loss_kwargs = True

    def _get_num_items_in_batch(self, batch_samples: Sequence[Any], device: torch.device) -> torch.Tensor:
        """The sum of the weights over the passes of an update on all processes."""
        total = sum(token_weights(batch["labels"], self.loss).sum() for batch in batch_samples)
        of_processes: torch.Tensor = self.accelerator.gather(torch.as_tensor(total, device=device))
        return of_processes.sum()

    def compute_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool = False, num_items_in_batch: Any = None
    ) -> Any:
        """TRL's loss and metrics of one pass, with weighted log-probabilities."""
        weights_BT = token_weights(inputs["labels"], self.loss)

        def weighted(**model_inputs: Any) -> Any:
            outputs = model(**model_inputs)
            outputs.log_probs = outputs.log_probs * weights_BT
            return outputs

        return super().compute_loss(weighted, inputs, return_outputs, num_items_in_batch)


def token_weights(labels_BT: torch.Tensor, loss: Loss) -> torch.Tensor:
    """Weights (B, T-1) of the predictions of all tokens except each first one; 0 where nothing is learned."""
    learned_BT = (labels_BT[:, 1:] != IGNORED).float()
    if loss == "sequence":
        learned_BT /= learned_BT.sum(1, keepdim=True).clamp(min=1)
    return learned_BT
