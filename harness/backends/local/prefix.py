"""Computes the prefix that prompts share, such as their policy with its images, once for all of them.

B prompts of a batch have T tokens each including padding. The first P tokens of a prompt belong to its
prefix, and a batch may have several prefixes of different lengths. `Prefix` keeps the KV cache of one of
them: for each layer the keys and values, both of shape (1, KV heads, P, head size).

    first batch with a prefix   compute its P tokens (1 row), keep their KV cache
    every batch                 compute the other tokens, which attend to that cache (prefix_attention.py)

    prompts    . . p p p p p q q     p: token of the prefix     .: padding on the left, masked
               p p p p p q q q q     q: token of this prompt alone
               . . . . . r r r q     r: token of another prefix
               . . . . . . q q q     a prompt without a prefix
    computed             . . q q
                         q q q q
                         . . . q
                         . q q q

Responses differ from the plain ones only by float rounding: each prompt is tokenized as a whole, and P is
the number of first tokens that all rows of the prefix agree on, so no tokenizer can merge characters across
the bar. The prefix contains all images of the shared parts and no other image. The memory is freed with the
Prefix object; hf.py has only the one of the current group.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from itertools import groupby, islice
from typing import Any

import torch
from transformers import DynamicCache
from transformers.cache_utils import DynamicLayer

from harness.backends.local.chat import ChatReader
from harness.backends.local.prefix_attention import PrefixOfRows, attention_to_prefixes
from harness.backends.prefix_groups import MIN_SHARED_TOKENS

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


class Prefix:
    """The parts that prompts share; computed by the first batch. `reader` reads the parts (chat.py).

    Prompts that share nothing have a prefix without parts.
    """

    def __init__(self, model: Any, reader: ChatReader, parts: Sequence[Any]) -> None:
        self.model, self.reader, self.parts = model, reader, parts
        self.computed: _ComputedPrefix | None = None
        self._counted = False

    def cached_tokens(self, shared: int, rows: int) -> list[int]:
        """For each row of an answered batch, the tokens not computed for it; 0 for the group's first row."""
        first, self._counted = shared if self._counted else 0, True
        return [first, *[shared] * (rows - 1)]

    @cached_property
    def as_read(self) -> _SharedParts:
        if not self.parts:
            return _SharedParts([], [], 0, {})
        content = self.reader.content(self.parts)
        with _replaced_images(self.reader.processor, [[]]) as image_texts:
            inputs = self.reader.tensors([content])
        image_tokens = int((inputs["input_ids"] == self.model.config.image_token_id).sum())
        for name in TOKEN_INPUTS:
            inputs.pop(name, None)
        return _SharedParts(content, image_texts, image_tokens, inputs)

    def count_shared_tokens(self, rows: Sequence[torch.Tensor]) -> int:
        """P: the tokens that all rows start with, including all shared images and no other; 0 if too few."""
        if not self.parts:
            return 0
        rows = list(rows)
        longest = min(len(row) for row in rows) - 1  # generate needs at least one token
        if self.computed is not None:
            rows.append(self.computed.ids.to("cpu"))
            longest = min(longest, len(self.computed.ids))
        ids = torch.stack([row[:longest] for row in rows])
        images = (ids == self.model.config.image_token_id).cumsum(1)  # image tokens up to each column
        same = (ids == ids[0]).all(0) & (images[0] <= self.as_read.image_tokens)
        shared = int(same.long().cumprod(0).sum())  # columns before the first difference
        if shared < MIN_SHARED_TOKENS or int(images[0, shared - 1]) < self.as_read.image_tokens:
            return 0
        return shared

    def compute(self, token_inputs: dict[str, torch.Tensor]) -> None:
        """Computes the KV cache of these tokens, which include all shared images; inputs of shape (1, P)."""
        pixels = self.as_read.pixels.to(self.model.device, dtype=self.model.dtype)
        inputs = {**pixels, **token_inputs}
        positions, cache = prompt_positions(self.model, inputs), DynamicCache(config=self.model.config)
        self.model(**inputs, position_ids=positions, past_key_values=cache, use_cache=True, logits_to_keep=1)
        self.computed = _ComputedPrefix(token_inputs["input_ids"][0], positions, cache)


def read_prompts(prefixes: Sequence[Prefix], rest: Sequence[Sequence[Any]]) -> tuple[Any, list[int]]:
    """Inputs of B whole prompts without the pixels of shared images, and for each prompt its P.

    Row b has the parts of prefixes[b], then those of rest[b]. Ignore the inputs if P is 0 for a prefix that
    has parts.
    """
    reader = prefixes[0].reader
    contents = [p.as_read.content + reader.content(parts) for p, parts in zip(prefixes, rest, strict=True)]
    with _replaced_images(reader.processor, [prefix.as_read.image_texts for prefix in prefixes]):
        inputs = reader.tensors(contents)
    pairs = zip(inputs["input_ids"], inputs["attention_mask"], strict=True)
    rows: dict[Prefix, list[torch.Tensor]] = {}
    for prefix, (ids, mask) in zip(prefixes, pairs, strict=True):
        rows.setdefault(prefix, []).append(ids[mask == 1])
    shared = {prefix: prefix.count_shared_tokens(of_prefix) for prefix, of_prefix in rows.items()}
    return inputs, [shared[prefix] for prefix in prefixes]


@contextmanager
def after_prefixes(
    inputs: Any, prefixes: Sequence[Prefix], shared: Sequence[int]
) -> Iterator[dict[str, Any]]:
    """Yields inputs without the first shared[b] tokens of row b. In the context the model attends to these.

    `inputs` are those of read_prompts, on the model's device. Rows of the same prefix are next to each other.
    Computes each prefix that is needed for the first time.
    """
    model, mask = prefixes[0].model, inputs["attention_mask"]
    token_inputs = {name: inputs[name] for name in TOKEN_INPUTS if name in inputs}
    padding = mask.argmax(1)  # (B,): tokens of padding at the left
    for row, (prefix, first) in enumerate(zip(prefixes, padding.tolist(), strict=True)):
        if shared[row] and prefix.computed is None:
            columns = slice(first, first + shared[row])
            prefix.compute({name: value[row : row + 1, columns] for name, value in token_inputs.items()})
    # The columns from `start` on contain the own tokens of every row. In some rows they also contain the last
    # tokens of the prefix, which become padding.
    ends = padding + torch.tensor(shared, device=mask.device)  # (B,): where the own tokens start
    start = int(ends.min())
    hidden = torch.arange(start, mask.shape[1], device=mask.device) < ends[:, None]
    fill = {"input_ids": prefixes[0].reader.processor.tokenizer.pad_token_id}
    own = {k: v[:, start:].masked_fill(hidden, fill.get(k, 0)) for k, v in token_inputs.items()}
    positions = prompt_positions(model, {**inputs, **own})
    groups = list(_row_groups(prefixes, shared))
    for group, computed in groups:
        if computed:
            positions[..., group.rows, :] += computed.next_position(group.tokens)
    with attention_to_prefixes(model, [group for group, _ in groups]):
        yield {**inputs, **own, "position_ids": positions}


def _row_groups(
    prefixes: Sequence[Prefix], shared: Sequence[int]
) -> Iterator[tuple[PrefixOfRows, _ComputedPrefix | None]]:
    """Splits the rows where the prefix changes."""
    first = 0
    for prefix, rows in groupby(prefixes):
        end = first + sum(1 for _ in rows)
        computed = prefix.computed if shared[first] else None
        yield PrefixOfRows(slice(first, end), computed and computed.cache, shared[first]), computed
        first = end


def prompt_positions(model: Any, inputs: dict[str, Any]) -> torch.Tensor:
    """The position ids that `generate` would use if these were all inputs: they start at 0."""
    positions: torch.Tensor = model._prepare_position_ids_for_generation(inputs["input_ids"], inputs)
    return positions


@contextmanager
def _replaced_images(processor: Any, known: Sequence[Sequence[str]]) -> Iterator[list[str]]:
    """Within the context, the processor inserts the texts known[b] for the first images of chat b.

    It does not read these images. Yields a list that is filled with the texts of the other images. A
    processor's `_process_images` returns the pixels and one text per image; every processor of ARCHITECTURES
    calls it once.
    """
    process, read_texts = processor._process_images, []

    def process_unknown(images: Sequence[Sequence[Any]], **kwargs: Any) -> tuple[Any, list[str]]:
        unknown = [row[len(texts) :] for row, texts in zip(images, known, strict=True)]
        nonempty = [row for row in unknown if row]
        inputs, read = process(nonempty, **kwargs) if nonempty else ({}, [])
        read_texts.extend(read)
        remaining = iter(read)
        rows = zip(known, unknown, strict=True)
        return inputs, [text for first, row in rows for text in (*first, *islice(remaining, len(row)))]

    processor._process_images = process_unknown
    try:
        yield read_texts
    finally:
        processor._process_images = process
