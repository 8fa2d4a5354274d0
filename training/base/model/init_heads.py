"""Initial weights: random, except for attention heads that look back by position from the first step.

To look up what a condition tests, the decoder needs two heads in sequence, like an induction head:

    Condition 1.2: Look for a red object ...        List the conditions 1.2 ...
               |            ^                                            |
               +-- head 1 --+ <---------------- head 2 ------------------+

Head 1 passes the number at the start of a section on to the section's tokens. Head 2 finds the tokens that
carry the requested number. With rotary positions and heads of only 32 dimensions, random weights are far from
heads that look at previous tokens or at nearby tokens. The biases that are set below provide both kinds.

Measured after 1,000 steps of 16 two-layer policies (four minutes), as the share of new policies for which
every value of every condition is predicted correctly with teacher forcing: 39 % without these heads, 52 %
with the heads for previous tokens only, 99 % with both kinds.
"""

from typing import Any, NamedTuple

import torch

# Standard deviation of the random weights.
INIT_STD = 0.05
# How many of the first layers have positional heads.
LAYERS = 2


class PositionalHead(NamedTuple):
    """A head whose attention depends on the distance between tokens, not on what they are."""

    # The distance, in tokens, at which the attention score is highest.
    lag: int
    # Which rotary frequencies carry the bias. The highest ones distinguish neighboring tokens; the next ones
    # vary so slowly that they distinguish the current section from the sections before it.
    frequencies: slice
    strength: float


# All other heads stay random.
HEADS = (
    *(PositionalHead(lag, slice(0, 4), 5.5) for lag in (1, 2, 3)),
    *[PositionalHead(0, slice(4, 7), 3.0)] * 2,
)


@torch.no_grad()
def set_positional_heads(model: Any) -> None:
    """Set the query and key biases of the first layers' heads.

    Rotary embedding rotates each pair of dimensions (i, i + half) by frequency_i times the position. With the
    biases q = (s, 0) and k = (s cos(lag f), s sin(lag f)), the score between a query at position m and a key
    at position n is the sum over the frequencies f of s^2 cos((m - n - lag) f). It is highest at m - n = lag.
    """
    decoder = model.model.language_model
    frequencies = decoder.rotary_emb.inv_freq
    half = len(frequencies)
    for layer in decoder.layers[:LAYERS]:
        # Views of the parameters with shape (heads, 2, half): writing to them changes the model.
        query_bias = layer.self_attn.q_proj.bias.view(-1, 2, half)
        key_bias = layer.self_attn.k_proj.bias.view(-1, 2, half)
        for index, head in enumerate(HEADS[: len(query_bias)]):
            angles = head.lag * frequencies[head.frequencies]
            query_bias[index, 0, head.frequencies] = head.strength
            key_bias[index, 0, head.frequencies] = head.strength * torch.cos(angles)
            key_bias[index, 1, head.frequencies] = head.strength * torch.sin(angles)
