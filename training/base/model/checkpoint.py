"""A tiny Qwen2.5-VL checkpoint: every file that transformers and vLLM expect of a real one.

So whatever runs on it runs on the real one.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.backends.image_processor import image_only
from harness.errors import UserError
from harness.seeds import rng
from training.base.model.tokenizer import CHAT, train_tokenizer

PATCH, MERGE, FRAMES = 14, 2, 2
"""Pixels along a patch, patches along an image token, frames that a patch spans: those of Qwen2.5-VL."""

TOKEN_PIXELS = (PATCH * MERGE) ** 2

MIN_PIXELS, MAX_PIXELS = 4 * TOKEN_PIXELS, 25 * TOKEN_PIXELS
"""At most 25 tokens an image: a 480x320 picture becomes 168x112 pixels and 24 tokens."""

POSITIONS = 32768

SPREAD = 128**-0.5
"""Standard deviation of the random weights. With the usual 0.02 so narrow a model repeats its last token."""

HEAD = 32
"""Dimensions of an attention head: the least that attention kernels take everywhere."""


@dataclass(frozen=True)
class Size:
    """Width and depth of both towers."""

    hidden: int
    inner: int
    """Width within a feed-forward layer."""
    layers: int
    sight_hidden: int
    sight_inner: int
    sight_layers: int


SMALLEST = Size(128, 512, 2, 64, 128, 2)
"""About a million weights, for tests."""

BASE = Size(192, 448, 6, 128, 256, 4)
"""3.8 million weights: 15 MB as float32."""


def save_random(out: Path, seed: int = 0, size: Size = SMALLEST) -> None:
    """Writes a model that knows nothing, tokenizer and processor to a folder, which is made; a few seconds.

    The same seed gives the same weights with the same version of torch. UserError where the folder already
    holds something.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: expected a new or an empty folder, got one in use; name another")
    tokenizer = train_tokenizer()
    save(random_model(tokenizer, size, SPREAD, seed), tokenizer, out)


def random_model(tokenizer: Any, size: Size, spread: float, seed: int) -> Any:
    """A Qwen2_5_VLForConditionalGeneration with weights drawn from the seed, in float32."""
    import torch
    from transformers import GenerationConfig, Qwen2_5_VLForConditionalGeneration

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(rng(seed, "base").getrandbits(63))
        model = Qwen2_5_VLForConditionalGeneration(_config(tokenizer, size, spread))
    model.generation_config = GenerationConfig(
        eos_token_id=[tokenizer.eos_token_id, tokenizer.pad_token_id],
        pad_token_id=tokenizer.pad_token_id,
    )
    return model


def save(model: Any, tokenizer: Any, out: Path) -> None:
    """All files of a checkpoint."""
    model.save_pretrained(out)
    processor(tokenizer).save_pretrained(out)


def _config(tokenizer: Any, size: Size, spread: float) -> Any:
    from transformers import Qwen2_5_VLConfig

    def token(name: str) -> int:
        return int(tokenizer.convert_tokens_to_ids(name))

    heads = size.hidden // HEAD
    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": size.hidden,
            "intermediate_size": size.inner,
            "num_hidden_layers": size.layers,
            "num_attention_heads": heads,
            "num_key_value_heads": heads,
            "max_position_embeddings": POSITIONS,
            "initializer_range": spread,
            # Half a head's dimensions, shared out to time, height and width. Prompts are short: with the
            # usual base of a million most of so few dimensions would not tell two positions apart.
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 6, 6]},
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        vision_config={
            "depth": size.sight_layers,
            "initializer_range": spread,
            "hidden_size": size.sight_hidden,
            "intermediate_size": size.sight_inner,
            "num_heads": size.sight_hidden // HEAD,
            "out_hidden_size": size.hidden,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": FRAMES,
            "window_size": 112,
            # Every layer sees the whole picture: it has no more than a hundred patches.
            "fullatt_block_indexes": list(range(size.sight_layers)),
        },
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
        dtype="float32",
    )


def processor(tokenizer: Any) -> Any:
    """Made without torchvision; the video configuration is written for machines that have it."""
    from transformers import Qwen2_5_VLProcessor, Qwen2VLImageProcessorPil

    patches = {"patch_size": PATCH, "temporal_patch_size": FRAMES, "merge_size": MERGE}
    size = {"shortest_edge": MIN_PIXELS, "longest_edge": MAX_PIXELS}
    image_processor = Qwen2VLImageProcessorPil(size=dict(size), **patches)
    video = {"video_processor_type": "Qwen2VLVideoProcessor", "size": size, **patches}
    return image_only(Qwen2_5_VLProcessor, video)(image_processor, tokenizer, chat_template=CHAT)
