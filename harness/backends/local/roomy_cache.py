"""A KV cache with room for new tokens. transformers' copies all keys and values for each new token."""

from typing import Any

import torch
from torch.nn.functional import pad
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

# How many tokens a layer has room for before it is copied.
ROOM = 64


class _RoomyLayer(DynamicLayer):  # type: ignore[misc]
    """Keys and values (B, KV heads, tokens so far, head size) are the first columns of larger buffers."""

    buffers: tuple[torch.Tensor, torch.Tensor]

    def update(self, key_states: torch.Tensor, value_states: torch.Tensor, *_: Any, **__: Any) -> Any:
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
            self.buffers = self.keys, self.values = key_states, value_states
            return self.keys, self.values
        used = self.keys.shape[2]
        end = used + key_states.shape[2]
        keys, values = self.buffers
        if end > keys.shape[2]:
            room = (0, 0, 0, end + ROOM - keys.shape[2])
            self.buffers = keys, values = pad(keys, room), pad(values, room)
        keys[:, :, used:end], values[:, :, used:end] = key_states, value_states
        self.keys, self.values = keys[:, :, :end], values[:, :, :end]
        return self.keys, self.values


def roomy_cache(config: Any) -> DynamicCache | None:
    """An empty cache for `generate`; None, for transformers' own, if a layer drops keys or has none."""
    cache = DynamicCache(config=config)
    if not all(type(layer) is DynamicLayer for layer in cache.layers):
        return None
    cache.layers = [_RoomyLayer() for _ in cache.layers]
    return cache
