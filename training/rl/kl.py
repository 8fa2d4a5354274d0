"""GRPO's KL, in which no token drowns all others.

Of a token that is d nats less likely than it was to the first model, the usual estimate (k3) is
exp(d) - d - 1. A policy-aware response may hold tokens that the model would never say by itself: at d = 12
the estimate is 160,000, in a loss where a reward is 1. EasyR1, whose defaults the paper's settings are,
therefore bounds the estimate of a token at 10. There a token beyond the bound is drawn back no more; here it
is, no harder than one at the bound.
"""

from __future__ import annotations

from typing import Any

import torch
from trl import GRPOTrainer

FURTHEST = 2.61087
"""The d at which the estimate is 10."""


class BoundedKl(GRPOTrainer):  # type: ignore[misc]
    """Moves the first model's log-probabilities within reach, once those of the model as it is are known."""

    _scored: dict[str, Any] | None = None
    """What the loss is computed of, while it is."""

    def _compute_loss(self, model: Any, inputs: dict[str, Any]) -> Any:
        self._scored = dict(inputs)  # a copy: later updates on the same batch begin from what it said
        try:
            return super()._compute_loss(model, self._scored)
        finally:
            self._scored = None

    def _get_per_token_logps_and_entropies(self, *args: Any, **named: Any) -> Any:
        now, *rest = super()._get_per_token_logps_and_entropies(*args, **named)
        if self._scored is not None and "ref_per_token_logps" in self._scored:
            first = self._scored["ref_per_token_logps"]
            self._scored["ref_per_token_logps"] = torch.minimum(first, now.detach() + FURTHEST)
        return now, *rest
