"""Attention for training on a CPU: plain matrix products, where torch's fused kernel is slow backwards.

Measured on one core with bfloat16, 64 rows of 160 tokens: a training step takes 1.2 s with it, 2.1 s with the
fused kernel.
"""

from __future__ import annotations

from typing import Any

import torch

NAME = "plain"
FAR = -1e4
"""Added to the score of a token that comes later: large enough to leave it out, and finite in bfloat16."""


def plain(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,  # noqa: ARG001
    scaling: float,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Heads (B, H, T, D) -> (B, T, H, D). Rows are padded on the right, so being causal is mask enough."""
    scores = (query * scaling) @ key.transpose(-1, -2)
    if module.is_causal:
        length = query.shape[2]
        scores = scores + torch.full((length, length), FAR, dtype=scores.dtype).triu(1)
    return (scores.softmax(-1) @ value).transpose(1, 2).contiguous(), None


def use(model: Any) -> None:
    """Makes a model attend this way from now on; set_attn_implementation("sdpa") takes it back."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register(NAME, plain)
    model.set_attn_implementation(NAME)
