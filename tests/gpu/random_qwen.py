"""Qwen2.5-VL of the published sizes with random weights: their speed and memory without a download.

The tokenizer is the project's own, with fewer tokens than the embedding has rows.
"""

from pathlib import Path
from typing import Any

import torch
from transformers import GenerationConfig, Qwen2_5_VLConfig, Qwen2_5_VLForConditionalGeneration

from training.base.model.checkpoint import build_processor, save_random
from training.base.model.tokenizer import train_tokenizer

# Of the text model: hidden size, feed-forward size, layers, heads, key-value heads, rows of the embedding,
# and whether the output layer shares them.
SIZES = {
    "3B": (2048, 11008, 36, 16, 2, 151936, True),
    "7B": (3584, 18944, 28, 28, 4, 152064, False),
}


def config_of(size: str, tokenizer: Any) -> Any:
    hidden, feed_forward, layers, heads, key_value_heads, rows, tied = SIZES[size]
    ids = tokenizer.convert_tokens_to_ids
    return Qwen2_5_VLConfig(
        text_config={
            "hidden_size": hidden,
            "intermediate_size": feed_forward,
            "num_hidden_layers": layers,
            "num_attention_heads": heads,
            "num_key_value_heads": key_value_heads,
            "vocab_size": rows,
            "max_position_embeddings": 128000,
            "rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": [16, 24, 24]},
            "bos_token_id": None,
            "eos_token_id": tokenizer.eos_token_id,
            "pad_token_id": tokenizer.pad_token_id,
        },
        vision_config={
            "depth": 32,
            "hidden_size": 1280,
            "intermediate_size": 3420,
            "num_heads": 16,
            "out_hidden_size": hidden,
            "window_size": 112,
            "fullatt_block_indexes": [7, 15, 23, 31],
        },
        image_token_id=ids("<|image_pad|>"),
        video_token_id=ids("<|video_pad|>"),
        vision_start_token_id=ids("<|vision_start|>"),
        vision_end_token_id=ids("<|vision_end|>"),
        tie_word_embeddings=tied,
    )


def save(size: str, folder: Path) -> None:
    """Writes a checkpoint in bfloat16, on a GPU in seconds. The size "tiny" has a million weights."""
    if size == "tiny":
        save_random(folder)
        return
    tokenizer = train_tokenizer()
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = Qwen2_5_VLForConditionalGeneration._from_config(
            config_of(size, tokenizer), dtype=torch.bfloat16
        )
    model.generation_config = GenerationConfig(eos_token_id=tokenizer.eos_token_id)
    processor = build_processor(tokenizer)
    # A scene of 480x320 pixels has 187 tokens, as with the published processor.
    processor.image_processor.size = {"shortest_edge": 56**2, "longest_edge": 28**2 * 1280}
    partial = folder.with_name(f".{folder.name}")
    model.save_pretrained(partial)
    processor.save_pretrained(partial)
    partial.rename(folder)
