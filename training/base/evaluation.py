"""What the base can do: answers generated greedily, on scenes and policies that it never learned from."""

from __future__ import annotations

from typing import Any

import torch

from harness.parsing import boxed
from harness.seeds import rng
from training.base.data.batches import Batch, batch
from training.base.data.examples import Encoder
from training.base.data.pixels import Gallery
from training.base.data.samplers import Material
from training.base.data.tasks import TASKS

NEW_TOKENS = 200
"""That an answer may have; the longest right one has about 170."""


@torch.no_grad()
def accuracy(
    model: Any, name: str, tokenizer: Any, held: Material, gallery: Gallery, count: int, seed: int
) -> float:
    """Share of a task's answers whose boxed part is right; of answers without one, of those right as a whole.

    A teacher-forced figure would flatter: it forgives every mistake before the token that is scored.
    """
    draw = rng(seed, "base", "measure", name)
    examples = [TASKS[name](draw, held) for _ in range(count)]
    encoder = Encoder(tokenizer)
    inputs = batch([encoder.question(example) for example in examples], encoder.pad)
    answers = generate(model, inputs, gallery, tokenizer)
    right = [_same(said, example.answer) for said, example in zip(answers, examples, strict=True)]
    return sum(right) / count


def generate(model: Any, inputs: Batch, gallery: Gallery, tokenizer: Any) -> list[str]:
    """Greedy answers to rows that are padded on the right."""
    pad = tokenizer.pad_token_id
    lengths = (inputs.ids != pad).sum(1)
    width = inputs.ids.shape[1]
    places = torch.arange(width)[None] - (width - lengths)[:, None]  # moves each row's padding to its left
    ids = torch.where(places >= 0, inputs.ids.gather(1, places.clamp_min(0)), pad)
    device, image = model.device, model.config.image_token_id
    shown = {}
    if inputs.shots is not None:
        patches, grids = gallery.patches(inputs.shots)
        shown = {
            "pixel_values": patches.to(model.dtype),
            "image_grid_thw": grids,
            "mm_token_type_ids": (ids == image).int().to(device),
        }
    banned = [
        i for i in range(len(tokenizer)) if i in tokenizer.all_special_ids and i != tokenizer.eos_token_id
    ]
    attention = model.config._attn_implementation
    model.set_attn_implementation("sdpa")  # which minds the padding
    made = model.generate(
        input_ids=ids.to(device),
        attention_mask=(places >= 0).long().to(device),
        max_new_tokens=NEW_TOKENS,
        do_sample=False,
        suppress_tokens=banned,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=pad,
        **shown,
    )
    model.set_attn_implementation(attention)
    texts: list[str] = tokenizer.batch_decode(made[:, width:], skip_special_tokens=True)
    return texts


def _same(said: str, right: str) -> bool:
    answer = boxed(right)
    return said == right if answer is None else boxed(said) == answer
