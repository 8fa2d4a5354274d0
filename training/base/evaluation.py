"""Accuracy of the base model: greedy answers on scenes and policies that are never used for training."""

from collections.abc import Sequence
from typing import Any

import torch
from torch.nn.utils.rnn import pad_sequence

from harness import seeds
from harness.parsing import boxed
from training.base.data.examples import ExampleEncoder, TokenSequence
from training.base.data.pixels import DevicePool, picture_batch
from training.base.data.samplers import SceneSampler
from training.base.data.tasks import TASKS

# Maximum length of an answer in tokens. The longest right answer has about 170.
NEW_TOKENS = 200


@torch.no_grad()
def accuracy(
    model: Any, tokenizer: Any, pool: DevicePool, sampler: SceneSampler, task: str, count: int, seed: int
) -> float:
    """Share of right answers among `count` examples of a task.

    Answers are generated: teacher forcing would correct each mistake before the token that is scored.
    """
    rng = seeds.rng(seed, "base", "measure", task)
    examples = [TASKS[task](rng, sampler) for _ in range(count)]
    encoder = ExampleEncoder(tokenizer)
    answers = generate(model, tokenizer, pool, [encoder.question(example) for example in examples])
    return sum(is_right(text, ex.answer) for text, ex in zip(answers, examples, strict=True)) / count


def is_right(text: str, answer: str) -> bool:
    """Whether the boxed part of a text is right, or the whole text if the answer has no boxed part."""
    target = boxed(answer)
    return text == answer if target is None else boxed(text) == target


def generate(model: Any, tokenizer: Any, pool: DevicePool, rows: Sequence[TokenSequence]) -> list[str]:
    """Greedy answers to questions."""
    pad = tokenizer.pad_token_id
    ids = [torch.tensor(row.ids) for row in rows]
    ids_BT = pad_sequence(ids, batch_first=True, padding_value=pad, padding_side="left").to(model.device)
    pictures = [picture for row in rows for picture in row.pictures]
    image_inputs = {}
    if pictures:
        patches, grids = pool.patches(picture_batch(pictures, None))
        image_inputs = {
            "pixel_values": patches.to(model.dtype),
            "image_grid_thw": grids,
            "mm_token_type_ids": (ids_BT == model.config.image_token_id).int(),
        }
    attention = model.config._attn_implementation
    model.set_attn_implementation("sdpa")  # training_attention takes no padding mask
    output_BT = model.generate(
        input_ids=ids_BT,
        attention_mask=(ids_BT != pad).long(),
        max_new_tokens=NEW_TOKENS,
        do_sample=False,
        suppress_tokens=sorted({*tokenizer.all_special_ids} - {tokenizer.eos_token_id}),
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=pad,
        **image_inputs,
    )
    model.set_attn_implementation(attention)
    answers_BT = output_BT[:, ids_BT.shape[1] :]
    return tokenizer.batch_decode(answers_BT, skip_special_tokens=True)  # type: ignore[no-any-return]
