"""Attention for training: the kernel that is faster, and no time on tokens that a question does not see.

In bfloat16 on a CPU, plain matrix products replace torch's kernel, which is slow there. Measured on one core
with AVX-512 bfloat16 and 64 rows of 160 tokens: a training step takes 1.2 s instead of 2.1 s. In float32 on a
core with AVX2, torch's kernel is faster, 1.4 times at 160 tokens and 3 times at 600.

B: sequences, H: heads, T: tokens, D: dimensions of a head, Q: the last tokens, which the mask describes.
"""

from typing import Any

import torch
from torch.nn import functional as F

NAME = "training"
# Added to the score of a token that is not seen: low enough to exclude it, and finite in bfloat16.
MASKED_SCORE = -1e4


def training_attention(
    module: Any,
    query_BHTD: torch.Tensor,
    key_BHTD: torch.Tensor,
    value_BHTD: torch.Tensor,
    attention_mask: torch.Tensor | None,
    scaling: float,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """Return outputs (B, T, H, D) and no weights. Padding on the right is hidden because it comes later.

    `attention_mask` (B, 1, Q, T) is added to the scores of the last Q tokens (branches.attention_mask). The
    tokens before them see each token before themselves, as all do without a mask.
    """
    if attention_mask is None:
        output_BHTD = _attend(query_BHTD, key_BHTD, value_BHTD, scaling, None, module.is_causal)
    else:
        first = query_BHTD.shape[2] - attention_mask.shape[2]
        before, last = query_BHTD[:, :, :first], query_BHTD[:, :, first:]
        key_before, value_before = key_BHTD[:, :, :first], value_BHTD[:, :, :first]
        parts = (
            _attend(before, key_before, value_before, scaling, None, causal=True),
            _attend(last, key_BHTD, value_BHTD, scaling, attention_mask, causal=False),
        )
        output_BHTD = torch.cat(parts, dim=2)
    return output_BHTD.transpose(1, 2).contiguous(), None


def _attend(
    query_BHTD: torch.Tensor,
    key_BHTD: torch.Tensor,
    value_BHTD: torch.Tensor,
    scaling: float,
    mask: torch.Tensor | None,
    causal: bool,
) -> torch.Tensor:
    if query_BHTD.device.type != "cpu" or query_BHTD.dtype != torch.bfloat16:
        return F.scaled_dot_product_attention(
            query_BHTD, key_BHTD, value_BHTD, attn_mask=mask, scale=scaling, is_causal=causal
        )
    scores_BHTT = (query_BHTD * scaling) @ key_BHTD.transpose(-1, -2)
    if causal:
        mask = torch.full(scores_BHTT.shape[-2:], MASKED_SCORE, dtype=scores_BHTT.dtype).triu(1)
    if mask is not None:
        scores_BHTT = scores_BHTT + mask
    return scores_BHTT.softmax(-1) @ value_BHTD


def use_training_attention(model: Any) -> None:
    """Switch a model to this attention; `model.set_attn_implementation("sdpa")` switches it back."""
    from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

    ALL_ATTENTION_FUNCTIONS.register(NAME, training_attention)
    model.set_attn_implementation(NAME)
