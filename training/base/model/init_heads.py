"""What the base starts from: random weights, and heads that know from the start where to look back.

To look up what a condition says, a decoder needs two heads in a row: one that tells each token the number at
the head of its section, and one that looks for the tokens which were told the number that is asked for. With
rotary positions in heads of 32 dimensions, heads that look at the token before or at what is near are far
from random weights. After 1,000 steps of 16 policies of two layers, which takes four minutes, all values of a
new one's conditions were right for 39 % without such heads, for 52 % with those for the last tokens alone,
and for 99 % with both (each token after the right ones before it).
"""

from __future__ import annotations

from typing import Any, NamedTuple

import torch

SPREAD = 0.05
"""Standard deviation of the random weights."""
LAYERS = 2
"""How many layers, the first ones, have such heads."""


class Look(NamedTuple):
    """Where a head looks, whatever it sees there."""

    lag: int
    """How many tokens back its score is highest."""
    frequencies: slice
    """Of the rotary ones: the highest tell neighbours apart, the next ones a section from those before it."""
    strength: float


HEADS = (
    *(Look(lag, slice(0, 4), 5.5) for lag in (1, 2, 3)),
    *[Look(0, slice(4, 7), 3.0)] * 2,
)
"""The other heads of these layers, and all heads of the later ones, are as random as ever."""


@torch.no_grad()
def look_back(model: Any) -> None:
    """Sets the biases of queries and keys by which heads look where they should.

    Rotary positions turn each pair of dimensions i and i + half by frequency[i] a position. A key that is
    turned ahead by lag positions points where a query points that comes lag positions later.
    """
    decoder = model.model.language_model
    turns = decoder.rotary_emb.inv_freq
    half = len(turns)
    for layer in decoder.layers[:LAYERS]:
        query, key = (
            projection.bias.view(-1, 2, half)
            for projection in (layer.self_attn.q_proj, layer.self_attn.k_proj)
        )
        for head, look in enumerate(HEADS[: len(query)]):
            ahead = look.lag * turns[look.frequencies]
            query[head, 0, look.frequencies] = look.strength
            key[head, 0, look.frequencies] = look.strength * torch.cos(ahead)
            key[head, 1, look.frequencies] = look.strength * torch.sin(ahead)
