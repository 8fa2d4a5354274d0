"""What many prompts begin with, such as the policy that they share, is encoded once for all of them.

Exact by construction: every prompt is tokenized whole, as without this, and cut behind tokens that a whole
batch has in common, never inside or behind an image of its own. Positions go on where the prefix ends, and
padding stands between the prefix and the shorter of the remainders, where it is masked.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import islice
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from harness.backends.chat import Reader
from harness.backends.prefix_groups import WORTH
from harness.records import Part, Prompt

ARCHITECTURES = frozenset({"idefics3", "llava", "qwen2_vl", "qwen2_5_vl", "qwen3_vl"})
"""Those for which tests show that responses stay the same."""

TEXT = ("input_ids", "attention_mask", "mm_token_type_ids")
"""Of what a processor returns, the tensors with a column a token; the others belong to images."""


def reusable(model: Any) -> bool:
    """Whether the model is one of those above and each layer keeps every key; a sliding window does not."""
    layers = DynamicCache(config=model.config).layers
    return model.config.model_type in ARCHITECTURES and all(type(layer) is DynamicLayer for layer in layers)


@dataclass(frozen=True)
class _Beginning:
    """The shared parts as the processor reads them."""

    content: list[dict[str, Any]]
    placeholders: list[str]
    """What stands in the text for each image."""
    image_tokens: int
    pixels: Any
    """The model's inputs that belong to images."""


@dataclass(frozen=True)
class _Encoded:
    """What the model made of the first tokens."""

    ids: torch.Tensor
    positions: torch.Tensor
    """(1, tokens), or (4, 1, tokens) with mrope: that in the text, then time, height and width."""
    cache: DynamicCache

    def next_position(self, tokens: int) -> torch.Tensor:
        """Where the text goes on behind so many tokens; an image takes fewer positions than tokens."""
        last = self.positions[..., :tokens].amax(-1, keepdim=True)
        if last.ndim == 3:
            last[1:] = last[1:].amax()
        return last + 1

    def copies(self, tokens: int, rows: int, config: Any) -> DynamicCache:
        """A cache for a batch to fill; this one is left as it is."""
        layers = [
            [states[:, :, :tokens].expand(rows, -1, -1, -1) for states in layer[:2]] for layer in self.cache
        ]
        return DynamicCache(layers, config=config)


class Prefix:
    """What a group of prompts begins with; its first batch encodes it, its memory goes with the object."""

    def __init__(self, model: Any, reader: Reader, parts: Sequence[Part]) -> None:
        self.model, self.reader, self.parts = model, reader, parts
        self.encoded: _Encoded | None = None
        self._charged = False

    def read(self, prompts: Sequence[Prompt]) -> tuple[Any, int]:
        """The tensors of whole prompts, but no pixels of shared images, and how many first tokens are shared.

        With 0 the tensors are of no use. UserError when a prompt of the batch cannot be shown whole.
        """
        beginning, first = self._beginning, len(self.parts)
        contents = [beginning.content + self.reader.content(prompt.parts[first:]) for prompt in prompts]
        with _images_written(self.reader.processor, beginning.placeholders):
            inputs = self.reader.tensors(contents)
        return inputs, self._cut(inputs)

    def rest(self, inputs: Any, shared: int) -> dict[str, Any]:
        """What `generate` takes to go on behind so many tokens, which are encoded if they are not yet."""
        mask = inputs["attention_mask"]
        rows, width = mask.shape
        padding = mask.argmax(1, keepdim=True)
        text = {name: inputs[name] for name in TEXT if name in inputs}
        if self.encoded is None:
            first = int(padding[0])
            self.encoded = self._encode({k: v[:1, first : first + shared] for k, v in text.items()})
        # The prefix's place is taken by the cache; where it stands in a padded row, padding moves behind it.
        hidden = torch.arange(width - shared, device=mask.device) < padding
        fill = {"input_ids": self.reader.processor.tokenizer.pad_token_id}
        own = {k: v[:, shared:].masked_fill(hidden, fill.get(k, 0)) for k, v in text.items()}
        positions = self._positions({**inputs, **own}) + self.encoded.next_position(shared)
        return {
            **inputs,
            **own,
            "attention_mask": torch.cat([torch.ones_like(mask[:, :shared]), own["attention_mask"]], 1),
            "position_ids": positions,
            "past_key_values": self.encoded.copies(shared, rows, self.model.config),
        }

    def account(self, shared: int, rows: int) -> list[int]:
        """By row of an answered batch, the tokens not computed for it: none for the group's first."""
        first, self._charged = shared if self._charged else 0, True
        return [first, *[shared] * (rows - 1)]

    @cached_property
    def _beginning(self) -> _Beginning:
        content = self.reader.content(self.parts)
        with _images_written(self.reader.processor, []) as placeholders:
            inputs = self.reader.tensors([content])
        image_tokens = int((inputs["input_ids"] == self.model.config.image_token_id).sum())
        for name in TEXT:
            inputs.pop(name, None)
        return _Beginning(content, placeholders, image_tokens, inputs)

    def _cut(self, inputs: Any) -> int:
        """How many first tokens all rows share, with each shared image and no other; 0 if too few."""
        rows = [
            ids[mask == 1] for ids, mask in zip(inputs["input_ids"], inputs["attention_mask"], strict=True)
        ]
        longest = min(len(row) for row in rows) - 1  # generate needs a token to begin with
        if self.encoded is not None:
            rows.append(self.encoded.ids.to("cpu"))
            longest = min(longest, len(self.encoded.ids))
        ids = torch.stack([row[:longest] for row in rows])
        images = (ids == self.model.config.image_token_id).cumsum(1)
        same = (ids == ids[0]).all(0) & (images[0] <= self._beginning.image_tokens)
        cut = int(same.long().cumprod(0).sum())
        whole = cut >= WORTH and int(images[0, cut - 1]) == self._beginning.image_tokens
        return cut if whole else 0

    def _encode(self, text: dict[str, torch.Tensor]) -> _Encoded:
        inputs = {**self._beginning.pixels.to(self.model.device, dtype=self.model.dtype), **text}
        positions = self._positions(inputs)
        cache = DynamicCache(config=self.model.config)
        self.model(**inputs, position_ids=positions, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return _Encoded(text["input_ids"][0], positions, cache)

    def _positions(self, inputs: dict[str, Any]) -> torch.Tensor:
        """As `generate` would count them for these inputs alone, from 0."""
        positions: torch.Tensor = self.model._prepare_position_ids_for_generation(inputs["input_ids"], inputs)
        return positions


@contextmanager
def _images_written(processor: Any, known: Sequence[str]) -> Iterator[list[str]]:
    """Within, a chat's first images become what is known to stand for them, without their pixels.

    Yields what stands for the other images, filled by the processor. Its `_process_images` returns the
    model's inputs and those texts, and every processor of ARCHITECTURES calls it once.
    """
    process, written = processor._process_images, []

    def process_own(images: Sequence[Sequence[Any]], **kwargs: Any) -> tuple[Any, list[str]]:
        own = [row[len(known) :] for row in images]
        shown = [row for row in own if row]
        inputs, texts = process(shown, **kwargs) if shown else ({}, [])
        written.extend(texts)
        waiting = iter(texts)
        return inputs, [text for row in own for text in (*known, *islice(waiting, len(row)))]

    processor._process_images = process_own
    try:
        yield written
    finally:
        processor._process_images = process
