"""GRPO's KL term with an upper bound per token, so that no single token dominates the loss.

For a token that is d nats less likely now than under the reference model, the usual estimate (k3) is
exp(d) - d - 1. A policy-aware response may contain tokens that the model would never sample by itself. With
d = 12 the estimate is 160,000, in a loss where a reward is 1. So it is at most 10 per token, as in EasyR1,
whose defaults the paper uses:

    d        -11 ........ 0 ........ 2.6 ....
    KL        10          0          10   10       here the reference value is moved to the bound

A token beyond the bound keeps the gradient that it has there. In EasyR1 it has none (`clamp_kl`).
"""

from typing import Any

import torch
from trl import GRPOTrainer

# The values of d at which the estimate is 10.
MIN_LOG_RATIO, MAX_LOG_RATIO = -10.99998, 2.61087


class BoundedKl(GRPOTrainer):  # type: ignore[misc]
    """Moves log-probabilities of the reference model that are too far from those of the current model.

    TRL computes the current ones inside _compute_loss and then reads the reference from `inputs`. The bound
    needs both, so the first override exposes `inputs` and the second one changes the reference in between.
    """

    # Whether tokens beyond the bound have no KL gradient.
    clamp_kl = False
    # The inputs of the loss while it is computed.
    _loss_inputs: dict[str, Any] | None = None

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Any:
        """Extends TRL's method, which computes the loss of one micro-batch."""
        # A copy, because later updates on the same batch start from the original reference.
        self._loss_inputs = dict(inputs)
        try:
            return super()._compute_loss(model, self._loss_inputs)
        finally:
            self._loss_inputs = None

    def _get_per_token_logps_and_entropies(self, *args: Any, **kwargs: Any) -> Any:
        """Extends TRL's method, which returns (logps_BT, entropies_BT, auxiliary loss)."""
        logps_BT, *rest = super()._get_per_token_logps_and_entropies(*args, **kwargs)
        # Outside of the loss, TRL computes old or reference values, which are not changed.
        if self._loss_inputs is not None and "ref_per_token_logps" in self._loss_inputs:
            ref_logps_BT = self._loss_inputs["ref_per_token_logps"]
            # d is a constant beyond the bound if the reference value moves with the current one.
            now_BT = logps_BT if self.clamp_kl else logps_BT.detach()
            bounded_BT = torch.clamp(ref_logps_BT, now_BT + MIN_LOG_RATIO, now_BT + MAX_LOG_RATIO)
            self._loss_inputs["ref_per_token_logps"] = bounded_BT
        return logps_BT, *rest
