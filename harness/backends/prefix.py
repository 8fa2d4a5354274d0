"""Computes the prefix that prompts share, such as their policy with its images, once for all of them.

B prompts of a batch, T tokens each including padding, start with the same P tokens. `Prefix` keeps their KV
cache: for each layer the keys and values, both of shape (1, KV heads, P, head size).

    first batch of a group   compute the P prefix tokens (1 row), keep their KV cache
    every batch              expand the cache to (B, KV heads, P, head size), compute the last T - P tokens

    plain      . . p p p p p q q     p: token of the prefix     .: padding on the left, masked
               p p p p p q q q q     q: token of this prompt alone
    cached     p p p p p|. . q q     left of the bar: from the cache, never padded
               p p p p p|q q q q     so padding moves to the right of the prefix

Responses differ from the plain ones only by float rounding: each prompt is tokenized as a whole, and P is the
number of first tokens that all rows agree on, so no tokenizer can merge characters across the bar. The prefix
contains all images of the shared parts and no other image. The memory is freed with the Prefix object; hf.py
has only the one of the current group.
"""

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
from harness.backends.prefix_groups import MIN_SHARED_TOKENS
from harness.records import Part, Prompt

# The architectures for which tests show that responses stay the same.
ARCHITECTURES = frozenset({"idefics3", "llava", "qwen2_vl", "qwen2_5_vl", "qwen3_vl"})

# The inputs with one column per token, of shape (B, T). All other inputs belong to images.
TOKEN_INPUTS = ("input_ids", "attention_mask", "mm_token_type_ids")


def reusable(model: Any) -> bool:
    """Whether the architecture is tested and no layer drops keys, as a sliding window does."""
    layers = DynamicCache(config=model.config).layers
    return model.config.model_type in ARCHITECTURES and all(type(layer) is DynamicLayer for layer in layers)


@dataclass(frozen=True)
class _SharedParts:
    """The shared parts as the processor reads them."""

    content: list[dict[str, Any]]  # in transformers' chat format
    image_texts: list[str]  # for each image, the image tokens that the processor puts in its place
    image_tokens: int  # the number of all these tokens
    pixels: Any  # the model's inputs that belong to the images


@dataclass(frozen=True)
class _ComputedPrefix:
    """The model's state after the prefix."""

    ids: torch.Tensor  # (P,)
    positions: torch.Tensor  # (1, P), or with mrope (4, 1, P): position in the text, time, height, width
    cache: DynamicCache

    def next_position(self, tokens: int) -> torch.Tensor:
        """The position after this many tokens. With mrope an image takes fewer positions than tokens."""
        last = self.positions[..., :tokens].amax(-1, keepdim=True)
        if last.ndim == 3:
            # Text after an image continues at one position for time, height and width: after the largest.
            last[1:] = last[1:].amax()
        return last + 1

    def expanded_cache(self, tokens: int, rows: int, config: Any) -> DynamicCache:
        """A cache of the first tokens for a batch. It is a copy, because the model appends to it."""
        layers = [[kv[:, :, :tokens].expand(rows, -1, -1, -1) for kv in layer[:2]] for layer in self.cache]
        return DynamicCache(layers, config=config)


class Prefix:
    """The prefix that a group of prompts shares; computed by the first batch."""

    def __init__(self, model: Any, reader: Reader, parts: Sequence[Part]) -> None:
        self.model, self.reader, self.parts = model, reader, parts
        self.computed: _ComputedPrefix | None = None
        self._counted = False

    def read(self, prompts: Sequence[Prompt]) -> tuple[Any, int]:
        """Inputs of whole prompts without the pixels of shared images, and P. Ignore the inputs if P is 0."""
        shared, first = self._shared_parts, len(self.parts)
        contents = [shared.content + self.reader.content(prompt.parts[first:]) for prompt in prompts]
        with _replaced_images(self.reader.processor, shared.image_texts):
            inputs = self.reader.tensors(contents)
        return inputs, self._count_shared_tokens(inputs)

    def rest(self, inputs: Any, shared: int) -> dict[str, Any]:
        """The inputs for `generate` to continue after the first `shared` tokens; computes these if needed."""
        mask = inputs["attention_mask"]
        rows, width = mask.shape
        padding = mask.argmax(1, keepdim=True)  # (B, 1): tokens of padding at the left
        token_inputs = {name: inputs[name] for name in TOKEN_INPUTS if name in inputs}
        if self.computed is None:
            first = int(padding[0])
            self.computed = self._compute({k: v[:1, first : first + shared] for k, v in token_inputs.items()})
        # A row with n tokens of padding has the last n tokens of its prefix at the right of column `shared`.
        # They are in the cache, so their columns become padding.
        hidden = torch.arange(width - shared, device=mask.device) < padding  # (B, T - P)
        fill = {"input_ids": self.reader.processor.tokenizer.pad_token_id}
        own = {k: v[:, shared:].masked_fill(hidden, fill.get(k, 0)) for k, v in token_inputs.items()}
        positions = self._positions({**inputs, **own}) + self.computed.next_position(shared)
        return {
            **inputs,
            **own,
            "attention_mask": torch.cat([torch.ones_like(mask[:, :shared]), own["attention_mask"]], 1),
            "position_ids": positions,
            "past_key_values": self.computed.expanded_cache(shared, rows, self.model.config),
        }

    def cached_tokens(self, shared: int, rows: int) -> list[int]:
        """For each row of an answered batch, the tokens not computed for it; 0 for the group's first row."""
        first, self._counted = shared if self._counted else 0, True
        return [first, *[shared] * (rows - 1)]

    @cached_property
    def _shared_parts(self) -> _SharedParts:
        content = self.reader.content(self.parts)
        with _replaced_images(self.reader.processor, []) as image_texts:
            inputs = self.reader.tensors([content])
        image_tokens = int((inputs["input_ids"] == self.model.config.image_token_id).sum())
        for name in TOKEN_INPUTS:
            inputs.pop(name, None)
        return _SharedParts(content, image_texts, image_tokens, inputs)

    def _count_shared_tokens(self, inputs: Any) -> int:
        """P: the tokens that all rows start with, including all shared images and no other; 0 if too few."""
        pairs = zip(inputs["input_ids"], inputs["attention_mask"], strict=True)
        rows = [ids[mask == 1] for ids, mask in pairs]
        longest = min(len(row) for row in rows) - 1  # generate needs at least one token
        if self.computed is not None:
            rows.append(self.computed.ids.to("cpu"))
            longest = min(longest, len(self.computed.ids))
        ids = torch.stack([row[:longest] for row in rows])
        images = (ids == self.model.config.image_token_id).cumsum(1)  # image tokens up to each column
        same = (ids == ids[0]).all(0) & (images[0] <= self._shared_parts.image_tokens)
        shared = int(same.long().cumprod(0).sum())  # columns before the first difference
        if shared < MIN_SHARED_TOKENS or int(images[0, shared - 1]) < self._shared_parts.image_tokens:
            return 0
        return shared

    def _compute(self, token_inputs: dict[str, torch.Tensor]) -> _ComputedPrefix:
        pixels = self._shared_parts.pixels.to(self.model.device, dtype=self.model.dtype)
        inputs = {**pixels, **token_inputs}
        positions = self._positions(inputs)
        cache = DynamicCache(config=self.model.config)
        self.model(**inputs, position_ids=positions, past_key_values=cache, use_cache=True, logits_to_keep=1)
        return _ComputedPrefix(token_inputs["input_ids"][0], positions, cache)

    def _positions(self, inputs: dict[str, Any]) -> torch.Tensor:
        """The position ids that `generate` would use if these were all inputs: they start at 0."""
        positions: torch.Tensor = self.model._prepare_position_ids_for_generation(inputs["input_ids"], inputs)
        return positions


@contextmanager
def _replaced_images(processor: Any, known: Sequence[str]) -> Iterator[list[str]]:
    """Within the context, the processor inserts these texts for a chat's first images, without reading them.

    Yields a list that is filled with the texts of the other images. A processor's `_process_images` returns
    the pixels and one text per image; every processor of ARCHITECTURES calls it once.
    """
    process, read_texts = processor._process_images, []

    def process_unknown(images: Sequence[Sequence[Any]], **kwargs: Any) -> tuple[Any, list[str]]:
        unknown = [row[len(known) :] for row in images]
        nonempty = [row for row in unknown if row]
        inputs, texts = process(nonempty, **kwargs) if nonempty else ({}, [])
        read_texts.extend(texts)
        remaining = iter(texts)
        return inputs, [text for row in unknown for text in (*known, *islice(remaining, len(row)))]

    processor._process_images = process_unknown
    try:
        yield read_texts
    finally:
        processor._process_images = process
