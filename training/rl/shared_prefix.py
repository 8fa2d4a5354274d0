"""Responses to prompts that begin with a policy, sampled or read, with each policy encoded once.

    prompts -> batches     rows without a policy first, rows of the same policy next to each other
            -> prefixes    one per policy: its KV cache, with its images (harness/backends/local/prefix.py)
            -> responses   sampled (generate), or given and read (completion_states)

B: rows of a batch; T: tokens of its longest prompt; C: tokens of its longest completion; D: hidden dimension.

A prompt is its chat messages as TRL has them: one user message, whose content lists texts and loaded images.
Its first parts are the policy, so the question and its image are not part of the prefix. If the architecture
has no support in backends/local/prefix.py, or if the chat template moves images to the front, each
row computes its whole prompt. Results differ from that only by float rounding.
"""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

from harness.backends.local.chat import ChatReader
from harness.backends.local.prefix import (
    Prefix,
    after_prefixes,
    prompt_positions,
    read_prompts,
    reusable,
)
from harness.backends.local.roomy_cache import roomy_cache

Messages = list[dict[str, Any]]
Content = Sequence[dict[str, Any]]

# Bounds the memory of a KV cache: 64 rows of 2,000 own tokens need 7 GB with a model of 7 billion weights.
MAX_ROWS = 64


@dataclass(frozen=True)
class PromptBatch:
    """Prompts as the processor reads them."""

    # Where the rows are among all prompts.
    places: list[int]
    # Tokens (B, T), padded on the left, and the pixels of all images that are not in a prefix.
    inputs: Any
    # For each row its policy, if it has one, and how many tokens belong to it; empty if nothing is shared.
    prefixes: list[Prefix]
    shared: list[int]

    def prompt_ids(self) -> list[list[int]]:
        """The tokens of each whole prompt."""
        pairs = zip(self.inputs["input_ids"], self.inputs["attention_mask"], strict=True)
        return [ids[mask == 1].tolist() for ids, mask in pairs]

    @contextmanager
    def model_inputs(self, model: Any) -> Iterator[dict[str, Any]]:
        """Yields inputs on its device without the tokens of a prefix, to which it attends in the context."""
        inputs = self.inputs.to(model.device, dtype=model.dtype)
        if not self.prefixes:
            yield dict(inputs)
            return
        with after_prefixes(inputs, self.prefixes, self.shared) as own:
            yield own


def policy_parts(row: dict[str, Any]) -> int:
    """How many parts of a dataset row's policy prompt are the policy. The question follows (variants.py)."""
    return len(row["policy_prompt"][-1]["content"]) - len(row["prompt"][-1]["content"])


def read_batches(
    model: Any, processor: Any, prompts: Sequence[Messages], parts: Sequence[int], max_rows: int = MAX_ROWS
) -> list[PromptBatch]:
    """Reads prompts in batches of at most `max_rows`. The first parts[b] parts of prompt b are its policy.

    The KV cache of a policy is computed by the first batch that needs it and freed with the last one.
    """
    reader = ChatReader(processor)
    contents = [list(messages[-1]["content"]) for messages in prompts]
    keys = _policy_keys(contents, parts)
    rows = zip(keys, contents, parts, strict=True)
    prefixes = {key: Prefix(model, reader, content[:count]) for key, content, count in rows}
    order = {key: place for place, key in enumerate(prefixes)}
    places = sorted(range(len(keys)), key=lambda place: (parts[place] > 0, order[keys[place]]))

    def read(chunk: list[int]) -> list[PromptBatch]:
        aware = [place for place in chunk if parts[place]]
        if aware and reusable(model):
            of_rows = [prefixes[keys[place]] for place in chunk]
            inputs, shared = read_prompts(of_rows, [contents[place][parts[place] :] for place in chunk])
            if all(shared[-len(aware) :]):
                return [PromptBatch(chunk, inputs, of_rows, shared)]
        # Otherwise prompts without a policy would be padded to the length of those with one.
        halves = [half for half in (chunk[: -len(aware) or None], aware) if half]
        return [PromptBatch(h, reader.tensors([contents[i] for i in h]), [], []) for h in halves]

    chunks = [places[i : i + max_rows] for i in range(0, len(places), max_rows)]
    return [batch for chunk in chunks for batch in read(chunk)]


def generate(model: Any, batch: PromptBatch, generation_config: Any, end_tokens: set[int]) -> list[list[int]]:
    """A response to each prompt of the batch: its tokens up to and including the first end token."""
    cache = roomy_cache(model.config)
    with batch.model_inputs(model) as inputs:
        ids = model.generate(**inputs, past_key_values=cache, generation_config=generation_config)
    ids = ids[:, inputs["input_ids"].shape[1] :]
    return [_up_to_end(row, end_tokens) for row in ids.tolist()]


@torch.no_grad()
def completion_states(
    model: Any,
    processor: Any,
    prompts: Sequence[Messages],
    parts: Sequence[int],
    completions: Sequence[Sequence[int]],
    max_rows: int = 8,
) -> list[torch.Tensor]:
    """For each prompt the hidden states that predict its completion, shape (tokens, D): the teacher pass.

    The ids of the completion are appended as they are. The model is in eval mode. Its head is not used: it
    would compute the logits of all tokens. At most `max_rows` rows are computed at a time.
    """
    states = [torch.empty(0)] * len(prompts)
    batches = read_batches(model, processor, prompts, parts, max_rows)
    while batches:
        batch = batches.pop(0)
        rows = [torch.tensor(completions[place], dtype=torch.long) for place in batch.places]
        # The state at the last token of the prompt predicts the first token of the completion.
        length = max(map(len, rows)) + 1
        with batch.model_inputs(model) as inputs:
            whole = _with_completions(model, inputs, rows)
            last = model.base_model(**whole).last_hidden_state[:, -length:]
        for place, tokens, of_row in zip(batch.places, rows, last, strict=True):
            states[place] = of_row[: len(tokens)]
    return states


def _with_completions(model: Any, inputs: dict[str, Any], rows: Sequence[torch.Tensor]) -> dict[str, Any]:
    """The inputs with a completion behind each prompt, padded on the right to C tokens."""
    ids = pad_sequence(list(rows), batch_first=True).to(model.device)  # (B, C)
    lengths = torch.tensor([len(row) for row in rows], device=model.device)[:, None]
    steps = torch.arange(ids.shape[1], device=model.device)
    positions = inputs.get("position_ids")
    if positions is None:
        positions = prompt_positions(model, inputs)
    types = {
        name: torch.cat([value, torch.zeros_like(ids, dtype=value.dtype)], 1)
        for name, value in inputs.items()
        if name.endswith("token_type_ids")
    }
    mask = inputs["attention_mask"]
    return {
        **inputs,
        **types,
        "input_ids": torch.cat([inputs["input_ids"], ids], 1),
        "attention_mask": torch.cat([mask, (steps < lengths).to(mask.dtype)], 1),
        "position_ids": torch.cat([positions, positions[..., -1:] + 1 + steps], -1),
    }


def _policy_keys(contents: Sequence[Content], parts: Sequence[int]) -> list[tuple[Any, ...]]:
    """For each row something that is equal for the same policy: its texts and the digests of its images."""
    digests: dict[int, bytes] = {}

    def key(part: dict[str, Any]) -> Any:
        if part["type"] == "text":
            return part["text"]
        image = part["image"]
        if id(image) not in digests:
            digests[id(image)] = hashlib.sha256(f"{image.size}".encode() + image.tobytes()).digest()
        return digests[id(image)]

    return [
        tuple(key(part) for part in content[:count]) for content, count in zip(contents, parts, strict=True)
    ]


def _up_to_end(tokens: list[int], end_tokens: set[int]) -> list[int]:
    end = next((place for place, token in enumerate(tokens) if token in end_tokens), len(tokens))
    return tokens[: end + 1]
