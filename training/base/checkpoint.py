"""A tiny vision-language checkpoint with random weights, for the demo and the tests: it knows nothing.

It has Qwen2.5-VL's architecture, about a million parameters, and every file that transformers and vLLM expect
of a real one, so whatever runs on it runs on the real one.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

from harness.backends.image_processor import image_only
from harness.errors import UserError
from harness.seeds import rng
from training.tokenizer import CHAT, train_tokenizer

PATCH, MERGE, FRAMES = 14, 2, 2
"""Pixels along a patch, patches along an image token, frames that a patch spans: those of Qwen2.5-VL."""

TOKEN_PIXELS = (PATCH * MERGE) ** 2

MIN_PIXELS, MAX_PIXELS = 4 * TOKEN_PIXELS, 25 * TOKEN_PIXELS
"""At most 25 tokens an image: a 480x320 picture becomes 168x112 pixels and 24 tokens."""

POSITIONS = 32768

SPREAD = 128**-0.5
"""Standard deviation of the weights. With the usual 0.02 so narrow a model repeats its last token forever."""


def save_random(out: Path, seed: int = 0) -> None:
    """Writes model, tokenizer and processor to a folder, which is made; a few seconds, 4 MB.

    The same seed gives the same weights with the same version of torch. UserError where the folder already
    holds something.
    """
    import torch
    from transformers import GenerationConfig, Qwen2_5_VLForConditionalGeneration

    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: expected a new or an empty folder, got one in use; name another")
    tokenizer = train_tokenizer()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(rng(seed, "base").getrandbits(63))
        model = Qwen2_5_VLForConditionalGeneration(_config(tokenizer))
    model.generation_config = GenerationConfig(
        eos_token_id=[tokenizer.eos_token_id, tokenizer.pad_token_id],
        pad_token_id=tokenizer.pad_token_id,
    )
    model.save_pretrained(out)
    _processor(tokenizer).save_pretrained(out)


def _config(tokenizer: Any) -> Any:
    """Two layers of each tower; heads of 32, the least that attention kernels take everywhere."""
    from transformers import Qwen2_5_VLConfig

    def token(name: str) -> int:
        return int(tokenizer.convert_tokens_to_ids(name))

    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": 128,
            "intermediate_size": 512,
            "num_hidden_layers": 2,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "max_position_embeddings": POSITIONS,
            "initializer_range": SPREAD,
            # Half a head's dimensions, shared out to time, height and width.
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [4, 6, 6]},
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        vision_config={
            "depth": 2,
            "initializer_range": SPREAD,
            "hidden_size": 64,
            "intermediate_size": 128,
            "num_heads": 2,
            "out_hidden_size": 128,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": FRAMES,
            "window_size": 112,
            "fullatt_block_indexes": [1],
        },
        image_token_id=token("<|image_pad|>"),
        video_token_id=token("<|video_pad|>"),
        vision_start_token_id=token("<|vision_start|>"),
        vision_end_token_id=token("<|vision_end|>"),
        tie_word_embeddings=True,
        dtype="float32",
    )


def _processor(tokenizer: Any) -> Any:
    """Made without torchvision; the video configuration is written for machines that have it."""
    from transformers import Qwen2_5_VLProcessor, Qwen2VLImageProcessorPil

    patches = {"patch_size": PATCH, "temporal_patch_size": FRAMES, "merge_size": MERGE}
    size = {"shortest_edge": MIN_PIXELS, "longest_edge": MAX_PIXELS}
    image_processor = Qwen2VLImageProcessorPil(size=dict(size), **patches)
    video = {"video_processor_type": "Qwen2VLVideoProcessor", "size": size, **patches}
    return image_only(Qwen2_5_VLProcessor, video)(image_processor, tokenizer, chat_template=CHAT)


def main() -> None:
    """python -m training.base OUT [SEED]"""
    if len(sys.argv) not in (2, 3) or not all(word.isdecimal() for word in sys.argv[2:]):
        sys.exit(f"expected: python -m training.base OUT [SEED], got: {' '.join(sys.argv[1:]) or 'nothing'}")
    out, seed = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) == 3 else 0
    try:
        save_random(out, seed)
    except UserError as error:
        sys.exit(str(error))
    print(f"{out}: a Qwen2.5-VL of about a million random weights (seed {seed}). It was never trained.")


if __name__ == "__main__":
    main()
