"""Attention of many prompts to prefixes whose KV cache exists once and is not copied to every prompt.

    keys of a prefix   (1, KV heads, P, head size)
    own keys           (B, KV heads, S, head size): the tokens after the prefix, including the response

Copies would need B times the memory, and a generated token would have to read all of them. Here all prompts
of a prefix together are one matrix product with its keys, which are read once.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import torch
from torch.nn.functional import pad
from transformers import AttentionInterface, AttentionMaskInterface, DynamicCache
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

_NAME = "shared_prefix"


@dataclass(frozen=True)
class PrefixOfRows:
    """The rows of a batch that continue after the first `tokens` tokens of a KV cache, if there is one."""

    rows: slice
    cache: DynamicCache | None = None
    tokens: int = 0


class _States(NamedTuple):
    """What a layer computes for some rows of a batch, of L tokens each, with S own keys."""

    query: torch.Tensor  # (R, heads, L, head size)
    key: torch.Tensor  # (R, KV heads, S, head size)
    value: torch.Tensor
    mask: torch.Tensor  # (R, 1, L, S)


@contextmanager
def attention_to_prefixes(model: Any, prefixes: Sequence[PrefixOfRows]) -> Iterator[None]:
    """Within the context, each row also attends to all tokens of its prefix. `prefixes` covers all rows."""
    config = model.get_decoder().config
    before = config._attn_implementation
    AttentionInterface.register(_NAME, partial(_attend, prefixes))
    AttentionMaskInterface.register(_NAME, _mask)
    config._attn_implementation = _NAME
    try:
        yield
    finally:
        config._attn_implementation = before


def _mask(*args: Any, **kwargs: Any) -> Any:
    """Which own tokens each token sees; (B, 1, L, S). Without this option it may be left out."""
    return sdpa_mask(*args, **kwargs | {"allow_is_causal_skip": False})


def _attend(
    prefixes: Sequence[PrefixOfRows],
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    mask: torch.Tensor,
    scaling: float,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' interface: query (B, heads, L, head size) -> output (B, L, heads, head size)."""
    outputs = []
    for prefix in prefixes:
        states = _States(*(tensor[prefix.rows] for tensor in (query, key, value, mask)))
        if prefix.cache is not None:
            layer = prefix.cache.layers[module.layer_idx]
            keys, values = layer.keys[:, :, : prefix.tokens], layer.values[:, :, : prefix.tokens]
            if query.shape[2] == 1:
                outputs.append(_attend_one_token(states, keys, values, scaling))
                continue
            states = _with_copies(states, keys, values)
        outputs.append(sdpa_attention_forward(module, *states, scaling=scaling)[0])
    return torch.cat(outputs), None


def _with_copies(states: _States, keys: torch.Tensor, values: torch.Tensor) -> _States:
    """For several tokens per row: one layer of the prefix, copied to each row while the layer is computed."""
    query, key, value, mask = states
    copies = (len(query), -1, -1, -1)
    key, value = torch.cat([keys.expand(copies), key], 2), torch.cat([values.expand(copies), value], 2)
    return _States(query, key, value, pad(mask, (keys.shape[2], 0), value=True))


def _attend_one_token(
    states: _States, keys: torch.Tensor, values: torch.Tensor, scaling: float
) -> torch.Tensor:
    """For one token per row, while a response is generated: a softmax over two sets of keys.

    R: rows, K: KV heads, G: query heads per KV head, S: own keys, P: keys of the prefix, D: head size.
    """
    query, key, value, mask = states
    heads = (len(query), keys.shape[1], -1)
    q_RKGD = query[:, :, 0].view(*heads, query.shape[-1]) * scaling
    q_KrD = q_RKGD.transpose(0, 1).flatten(1, 2)  # r: R * G, all that ask the same prefix
    own_RKGS = (q_RKGD @ key.mT).float().masked_fill(~mask, -torch.inf)
    shared_KrP = (q_KrD @ keys[0].mT).float()

    def by_row(of_prefix_Kr: torch.Tensor) -> torch.Tensor:
        return of_prefix_Kr.view(heads[1], heads[0], -1, of_prefix_Kr.shape[-1]).transpose(0, 1)

    largest_RKG1 = torch.maximum(own_RKGS.amax(-1, True), by_row(shared_KrP.amax(-1, True)))
    own_RKGS = (own_RKGS - largest_RKG1).exp()
    shared_KrP = shared_KrP.sub_(largest_RKG1.transpose(0, 1).flatten(1, 2)).exp_()
    total_RKG1 = own_RKGS.sum(-1, True) + by_row(shared_KrP.sum(-1, True))
    of_prefix_RKGD = by_row(shared_KrP.to(values.dtype) @ values[0])
    output = (of_prefix_RKGD + own_RKGS.to(value.dtype) @ value) / total_RKG1
    return output.to(query.dtype).flatten(1, 2)[:, None]
