"""A tiny Qwen2.5-VL checkpoint with every file that transformers and vLLM expect.

Code that runs on this checkpoint therefore also runs on a full-size Qwen2.5-VL.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from harness.backends.local.image_processor import image_only
from harness.errors import UserError
from harness.seeds import rng
from training.base.model.tokenizer import CHAT_TEMPLATE, MAX_LENGTH, train_tokenizer

# Pixels along a patch, patches along an image token, frames in a patch: the same as in Qwen2.5-VL.
PATCH, MERGE, FRAMES = 14, 2, 2
# Pixels along an image token.
TOKEN_SIDE = PATCH * MERGE
# An image has at most 25 tokens: a 480x320 picture is resized to 168x112 pixels, which makes 24 tokens.
MIN_PIXELS, MAX_PIXELS = 4 * TOKEN_SIDE**2, 25 * TOKEN_SIDE**2
# Standard deviation of random weights. With the usual 0.02, a model this narrow repeats its last token.
INIT_STD = 128**-0.5
# Dimensions of an attention head: the smallest size that all attention kernels support.
HEAD_DIM = 32


@dataclass(frozen=True)
class ModelSize:
    """Width, feed-forward width and number of layers of the decoder and of the vision tower."""

    hidden: int
    feed_forward: int
    layers: int
    vision_hidden: int
    vision_feed_forward: int
    vision_layers: int


# For tests: about a million weights.
TEST_SIZE = ModelSize(128, 512, 2, 64, 128, 2)
# 3.8 million weights, 15 MB in float32.
BASE_SIZE = ModelSize(192, 448, 6, 128, 256, 4)


def save_random(out: Path, seed: int = 0, size: ModelSize = TEST_SIZE) -> None:
    """Write an untrained model with its tokenizer and processor to a new folder. Takes a few seconds.

    The same seed and version of torch give the same weights. Raises UserError if the folder is not empty.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise UserError(f"{out}: expected a new or an empty folder, got one in use; choose another")
    tokenizer = train_tokenizer()
    save_checkpoint(random_model(tokenizer, size, INIT_STD, seed), tokenizer, out)


def random_model(tokenizer: Any, size: ModelSize, init_std: float, seed: int) -> Any:
    """Return a Qwen2_5_VLForConditionalGeneration in float32 with random weights."""
    import torch
    from transformers import GenerationConfig, Qwen2_5_VLForConditionalGeneration

    end, pad = tokenizer.eos_token_id, tokenizer.pad_token_id
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(rng(seed, "base").getrandbits(63))
        model = Qwen2_5_VLForConditionalGeneration(_model_config(tokenizer, size, init_std))
    model.generation_config = GenerationConfig(eos_token_id=[end, pad], pad_token_id=pad)
    return model


def save_checkpoint(model: Any, tokenizer: Any, out: Path) -> None:
    model.save_pretrained(out)
    build_processor(tokenizer).save_pretrained(out)


def _model_config(tokenizer: Any, size: ModelSize, init_std: float) -> Any:
    from transformers import Qwen2_5_VLConfig

    token_id = tokenizer.convert_tokens_to_ids
    heads = size.hidden // HEAD_DIM
    return Qwen2_5_VLConfig(
        text_config={
            "vocab_size": len(tokenizer),
            "hidden_size": size.hidden,
            "intermediate_size": size.feed_forward,
            "num_hidden_layers": size.layers,
            "num_attention_heads": heads,
            "num_key_value_heads": heads,
            "max_position_embeddings": MAX_LENGTH,
            "initializer_range": init_std,
            # mrope_section divides half a head's dimensions among time, height and width. Prompts are short:
            # with the usual theta of a million, most of these few dimensions would rotate too slowly to
            # distinguish two positions.
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 6, 6]},
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        vision_config={
            "depth": size.vision_layers,
            "initializer_range": init_std,
            "hidden_size": size.vision_hidden,
            "intermediate_size": size.vision_feed_forward,
            "num_heads": size.vision_hidden // HEAD_DIM,
            "out_hidden_size": size.hidden,
            "patch_size": PATCH,
            "spatial_merge_size": MERGE,
            "temporal_patch_size": FRAMES,
            "window_size": 112,
            # Every layer attends to the whole picture, which has at most a hundred patches.
            "fullatt_block_indexes": list(range(size.vision_layers)),
        },
        image_token_id=token_id("<|image_pad|>"),
        video_token_id=token_id("<|video_pad|>"),
        vision_start_token_id=token_id("<|vision_start|>"),
        vision_end_token_id=token_id("<|vision_end|>"),
        tie_word_embeddings=True,
        dtype="float32",
    )


def build_processor(tokenizer: Any) -> Any:
    """Return a processor that works without torchvision; the video settings are saved for others."""
    from transformers import Qwen2_5_VLProcessor, Qwen2VLImageProcessorPil

    patches = {"patch_size": PATCH, "temporal_patch_size": FRAMES, "merge_size": MERGE}
    size = {"shortest_edge": MIN_PIXELS, "longest_edge": MAX_PIXELS}
    image_processor = Qwen2VLImageProcessorPil(size=dict(size), **patches)
    video = {"video_processor_type": "Qwen2VLVideoProcessor", "size": size, **patches}
    return image_only(Qwen2_5_VLProcessor, video)(image_processor, tokenizer, chat_template=CHAT_TEMPLATE)
