"""Small random checkpoints of the architectures that the transformers backend supports besides Qwen2.5-VL."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers as tf
from transformers.models.idefics3.image_processing_pil_idefics3 import Idefics3ImageProcessorPil

from harness.backends.local.image_processor import image_only
from training.base.model.checkpoint import INIT_STD
from training.base.model.tokenizer import CHAT_TEMPLATE, train_tokenizer

TEXT = {
    "hidden_size": 64,
    "intermediate_size": 128,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "num_key_value_heads": 1,
    "head_dim": 32,
    "max_position_embeddings": 8192,
    "initializer_range": INIT_STD,
    "bos_token_id": None,
    "eos_token_id": None,
}
VISION = {
    "hidden_size": 64,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "initializer_range": INIT_STD,
}
VIDEO = {"video_processor_type": "Qwen2VLVideoProcessor"}


def text_model(folder: Path, template: str) -> Path:
    """A language model without images, saved with this chat template."""
    tokenizer = train_tokenizer()
    tokenizer.chat_template = template
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = tf.LlamaForCausalLM(tf.LlamaConfig(**TEXT, vocab_size=len(tokenizer)))
    model.generation_config = tf.GenerationConfig(eos_token_id=tokenizer.eos_token_id)
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def mrope(*sections: int) -> dict[str, Any]:
    return {"rope_parameters": {"rope_type": "default", "rope_theta": 1e6, "mrope_section": list(sections)}}


def qwen(config: Any, processor: Any, patch: int, text: dict[str, Any], vision: dict[str, Any]) -> Any:
    """A function that makes config and processor of a Qwen architecture for a tokenizer."""

    def make(tokenizer: Any) -> tuple[Any, Any]:
        names = ("image_pad", "video_pad", "vision_start", "vision_end")
        keys = ("image_token_id", "video_token_id", "vision_start_token_id", "vision_end_token_id")
        ids = {k: tokenizer.convert_tokens_to_ids(f"<|{n}|>") for k, n in zip(keys, names, strict=True)}
        edge = (2 * patch) ** 2
        images = tf.Qwen2VLImageProcessorPil(
            size={"shortest_edge": edge, "longest_edge": 9 * edge}, patch_size=patch
        )
        text_config = TEXT | {"vocab_size": len(tokenizer)} | text
        model_config = config(text_config=text_config, vision_config=vision, **ids)
        return model_config, image_only(processor, VIDEO)(images, tokenizer, chat_template=CHAT_TEMPLATE)

    return make


def llava(tokenizer: Any) -> tuple[Any, Any]:
    """LLaVA. Like the usual template of this family, this one puts all images before all text."""
    image = tokenizer.convert_tokens_to_ids("<|image_pad|>")
    tokenizer.image_token = "<|image_pad|>"
    vision = tf.CLIPVisionConfig(**VISION, image_size=56, patch_size=14)
    text = tf.LlamaConfig(**TEXT, vocab_size=len(tokenizer))
    config = tf.LlavaConfig(vision_config=vision, text_config=text, image_token_id=image)
    images = tf.CLIPImageProcessorPil(
        size={"shortest_edge": 56}, crop_size={"height": 56, "width": 56}, do_center_crop=True
    )
    template = (
        "USER: {% for part in messages[0].content if part.type == 'image' %}<|image_pad|>\n{% endfor %}"
        "{% for part in messages[0].content if part.type == 'text' %}{{ part.text }}{% endfor %} ASSISTANT:"
    )
    processor = tf.LlavaProcessor(
        images, tokenizer, 14, "default", template, "<|image_pad|>", num_additional_image_tokens=1
    )
    return config, processor


def idefics(tokenizer: Any) -> tuple[Any, Any]:
    """Idefics3, which splits each image into tiles and adds the whole image."""
    tiles = [f"<row_{row}_col_{column}>" for row in range(1, 7) for column in range(1, 7)]
    tokenizer.add_special_tokens({"additional_special_tokens": ["<global-img>", *tiles]})
    images = Idefics3ImageProcessorPil(size={"longest_edge": 128}, max_image_size={"longest_edge": 64})
    template = (
        "User:{% for part in messages[0].content %}{% if part.type == 'image' %}<image>"
        "{% else %}{{ part.text }}{% endif %}{% endfor %}\nAssistant:"
    )
    processor = tf.Idefics3Processor(images, tokenizer, image_seq_len=4, chat_template=template)
    config = tf.Idefics3Config(
        vision_config=VISION | {"image_size": 64, "patch_size": 16},
        text_config=tf.LlamaConfig(**TEXT, vocab_size=len(tokenizer)),
        image_token_id=tokenizer.convert_tokens_to_ids("<image>"),
        scale_factor=2,
    )
    return config, processor


OTHERS: dict[str, Callable[[Any], tuple[Any, Any]]] = {
    "qwen2_vl": qwen(
        tf.Qwen2VLConfig,
        tf.Qwen2VLProcessor,
        14,
        mrope(4, 6, 6),
        {"depth": 2, "embed_dim": 64, "hidden_size": 64, "num_heads": 2, "initializer_range": INIT_STD},
    ),
    "qwen3_vl": qwen(
        tf.Qwen3VLConfig,
        tf.Qwen3VLProcessor,
        16,
        mrope(6, 5, 5),
        {
            "depth": 2,
            "hidden_size": 64,
            "intermediate_size": 64,
            "num_heads": 2,
            "out_hidden_size": 64,
            "num_position_embeddings": 64,
            "deepstack_visual_indexes": [0, 1],
            "initializer_range": INIT_STD,
        },
    ),
    "llava": llava,
    "idefics3": idefics,
}


def random_model(architecture: str) -> tuple[Any, Any]:
    """Model and processor, in memory only: without torchvision some saved processors cannot be loaded."""
    tokenizer = train_tokenizer()
    config, processor = OTHERS[architecture](tokenizer)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = tf.AutoModelForImageTextToText.from_config(config).eval()
    model.generation_config = tf.GenerationConfig(eos_token_id=tokenizer.eos_token_id)
    return model, processor


def limit_memory(backend: Any, rows: int) -> list[int]:
    """Makes larger batches run out of memory. Returns a list that records the size of each batch tried."""
    tried: list[int] = []
    generate = backend.model.generate

    def limited(**inputs: Any) -> Any:
        tried.append(len(inputs["input_ids"]))
        if tried[-1] > rows:
            raise torch.OutOfMemoryError("CUDA out of memory")
        return generate(**inputs)

    backend.model.generate = limited
    return tried
