"""Small random checkpoints of stock model families, saved as folders with the files of the real ones.

Tokens, chat templates and processors are those of the published checkpoints. Only the sizes, the vocabulary
and the weights are ours.
"""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
import transformers as tf
from small_models import OTHERS, TEXT, VISION

from harness.backends.local.image_processor import image_only
from training.base.model.checkpoint import INIT_STD, save_random
from training.base.model.tokenizer import train_tokenizer

PAD = "<|endoftext|>"
CHATML = "<|im_end|>"
# Pixels along an image, and along a patch: 16 patches, which most of these models merge into 4 tokens.
SIDE, PATCH = 64, 16
TOWER = VISION | {"image_size": SIDE, "patch_size": PATCH}
SQUARE = {"height": SIDE, "width": SIDE}


STAGES = ("vm-cpt", "cot-sft", "rl")
YES = "yes"


@dataclass(frozen=True)
class Family:
    """How a checkpoint is written, and what the project does with it."""

    save: Callable[[Path], None]
    # Packages that its processor imports.
    needs: tuple[str, ...] = ()
    # By stage of training, the sentence that refuses it, without what it says to do.
    refused: Mapping[str, str] = field(default_factory=dict)

    @property
    def outcome(self) -> dict[str, str]:
        """What the tests must find: the table of model families in docs/training.md."""
        return {"scored": YES} | {stage: self.refused.get(stage, YES) for stage in STAGES}


def parts(image: str) -> str:
    """The part of a template that shows a message's texts and images."""
    return "{% for p in m.content %}{{ '" + image + "' if p.type == 'image' else p.text }}{% endfor %}"


def chat(image: str, turn: str, assistant: str = "assistant", before: str = "") -> str:
    """A template with this turn, in which {role} and {content} stand for the role and the parts."""
    role = "{{ '" + assistant + "' if m.role == 'assistant' else m.role }}"
    turns = "{% for m in messages %}" + turn.format(role=role, content=parts(image)) + "{% endfor %}"
    start = turn.partition("{content}")[0].format(role=assistant)
    return before + turns + "{% if add_generation_prompt %}" + start + "{% endif %}"


def tokenizer_with(end: str, **named: str) -> Any:
    """The small tokenizer with this end token and the named special tokens of a family."""
    return tf.PreTrainedTokenizerFast(
        tokenizer_object=train_tokenizer().backend_tokenizer,
        eos_token=end,
        pad_token=PAD,
        extra_special_tokens=named,
        padding_side="left",
        clean_up_tokenization_spaces=False,
    )


def save(folder: Path, config: Any, ends: list[str], tokenizer: Any, *processors: Any) -> None:
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        model = tf.AutoModelForImageTextToText.from_config(config)
    model.generation_config = tf.GenerationConfig(eos_token_id=tokenizer.convert_tokens_to_ids(ends))
    model.save_pretrained(folder)
    for processor in processors:
        processor.save_pretrained(folder)


def text(kind: Any, tokenizer: Any, **settings: Any) -> Any:
    return kind(**(TEXT | {"vocab_size": len(tokenizer)} | settings))


def qwen2_5_vl(folder: Path) -> None:
    save_random(folder)


def qwen3_vl(folder: Path) -> None:
    tokenizer = train_tokenizer()
    config, processor = OTHERS["qwen3_vl"](tokenizer)
    save(folder, config, [CHATML], tokenizer, processor)


THINKING = (
    "{% for m in messages %}<|im_start|>{{ m.role }}\n{% if m.role == 'assistant' %}"
    "{% set thought, _, answer = m.content[0].text.rpartition('</think>') %}<think>\n"
    "{{ thought.split('<think>')[-1].strip('\\n') + '\\n</think>\\n\\n' + answer.lstrip('\\n') }}"
    "{% else %}"
    + parts("<|vision_start|><|image_pad|><|vision_end|>")
    + "{% endif %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n<think>\n{% endif %}"
)


def qwen3_vl_thinking(folder: Path) -> None:
    """The prompt opens a thought, and the template writes an assistant's turn in a form of its own."""
    qwen3_vl(folder)
    (folder / "chat_template.jinja").write_text(THINKING)


def gemma3(folder: Path) -> None:
    tokenizer = tokenizer_with(
        "<eos>",
        boi_token="<start_of_image>",
        eoi_token="<end_of_image>",
        image_token="<image_soft_token>",
        start_of_turn="<start_of_turn>",
        end_of_turn="<end_of_turn>",
    )
    ids = tokenizer.convert_tokens_to_ids
    config = tf.Gemma3Config(
        text_config=text(tf.Gemma3TextConfig, tokenizer, sliding_window=32, query_pre_attn_scalar=32),
        vision_config=TOWER,
        mm_tokens_per_image=4,
        boi_token_index=ids("<start_of_image>"),
        eoi_token_index=ids("<end_of_image>"),
        image_token_index=ids("<image_soft_token>"),
    )
    template = chat("<start_of_image>", "<start_of_turn>{role}\n{content}<end_of_turn>\n", "model")
    images = tf.Gemma3ImageProcessorPil(size=SQUARE)
    processor = tf.Gemma3Processor(images, tokenizer, chat_template=template, image_seq_length=4)
    save(folder, config, ["<eos>", "<end_of_turn>"], tokenizer, processor)


def internvl(folder: Path) -> None:
    tokenizer = tokenizer_with(
        CHATML,
        start_image_token="<img>",
        end_image_token="</img>",
        context_image_token="<IMG_CONTEXT>",
        video_token="<video>",
    )
    config = tf.InternVLConfig(
        text_config=text(tf.Qwen2Config, tokenizer),
        vision_config=TOWER | {"image_size": [SIDE, SIDE], "patch_size": [PATCH, PATCH]},
        image_token_id=tokenizer.convert_tokens_to_ids("<IMG_CONTEXT>"),
        image_seq_length=4,
    )
    images = tf.GotOcr2ImageProcessorPil(size=SQUARE, crop_to_patches=True, max_patches=2)
    template = chat("<IMG_CONTEXT>\\n", "<|im_start|>{role}\n{content}<|im_end|>\n")
    video = {"video_processor_type": "InternVLVideoProcessor"}
    processor = image_only(tf.InternVLProcessor, video)(
        images, tokenizer, image_seq_length=4, chat_template=template
    )
    save(folder, config, [CHATML], tokenizer, processor)


def llava_onevision(folder: Path) -> None:
    tokenizer = tokenizer_with(CHATML, image_token="<image>", video_token="<video>")
    ids = tokenizer.convert_tokens_to_ids
    grid = [[SIDE, SIDE], [SIDE, 2 * SIDE]]
    config = tf.LlavaOnevisionConfig(
        text_config=text(tf.Qwen2Config, tokenizer),
        vision_config=tf.SiglipVisionConfig(**TOWER, vision_use_head=False),
        image_token_index=ids("<image>"),
        video_token_index=ids("<video>"),
        image_grid_pinpoints=grid,
    )
    images = tf.LlavaOnevisionImageProcessorPil(size=SQUARE, image_grid_pinpoints=grid)
    template = chat("<image>\\n", "<|im_start|>{role}\n{content}<|im_end|>\n")
    video = {"video_processor_type": "LlavaOnevisionVideoProcessor"}
    processor = image_only(tf.LlavaOnevisionProcessor, video)(
        images,
        tokenizer,
        num_image_tokens=16,
        vision_feature_select_strategy="full",
        chat_template=template,
    )
    save(folder, config, [CHATML], tokenizer, processor)


def idefics3(folder: Path) -> None:
    tokenizer = train_tokenizer()
    config, processor = OTHERS["idefics3"](tokenizer)
    turn = "{role}: {content}<end_of_utterance>\n"
    processor.chat_template = chat("<image>", turn, "Assistant", before="<|im_start|>")
    save(folder, config, ["<end_of_utterance>"], tokenizer, processor)


def smolvlm(folder: Path) -> None:
    """Idefics3 with a processor that also reads videos. Written by hand, because it cannot be made here."""
    idefics3(folder)
    for name, changes in (
        ("config.json", {"model_type": "smolvlm", "architectures": ["SmolVLMForConditionalGeneration"]}),
        (
            "processor_config.json",
            {
                "processor_class": "SmolVLMProcessor",
                "video_processor": {"video_processor_type": "SmolVLMVideoProcessor"},
            },
        ),
    ):
        settings = json.loads((folder / name).read_text()) | changes
        (folder / name).write_text(json.dumps(settings).replace("Idefics3Image", "SmolVLMImage"))


def mistral3(folder: Path) -> None:
    """Written by hand, because without torchvision its processor cannot be made."""
    marks = {"image_token": "[IMG]", "image_break_token": "[IMG_BREAK]", "image_end_token": "[IMG_END]"}
    tokenizer = tokenizer_with("</s>", **marks, begin="<s>", inst="[INST]", inst_end="[/INST]")
    config = tf.Mistral3Config(
        text_config=text(tf.MistralConfig, tokenizer),
        vision_config=tf.PixtralVisionConfig(**TOWER, head_dim=32),
        image_token_index=tokenizer.convert_tokens_to_ids("[IMG]"),
        spatial_merge_size=2,
    )
    images = tf.PixtralImageProcessorPil(size={"longest_edge": SIDE}, patch_size=2 * PATCH)
    tokenizer.chat_template = (
        "<s>{% for m in messages %}{% if m.role == 'user' %}[INST]" + parts("[IMG]") + "[/INST]"
        "{% else %}{{ m.content[0].text }}</s>{% endif %}{% endfor %}"
    )
    save(folder, config, ["</s>"], tokenizer, tokenizer, images)
    processor = {"processor_class": "PixtralProcessor", "patch_size": PATCH, "spatial_merge_size": 2, **marks}
    (folder / "processor_config.json").write_text(json.dumps(processor))


def glm4v(folder: Path) -> None:
    """Its responses end where the next turn of the user begins."""
    tokenizer = tokenizer_with(
        PAD,
        image_token="<|image|>",
        video_token="<|video|>",
        **{f"mark_{i}": m for i, m in enumerate("[gMASK] <sop> <|user|> <|assistant|>".split())},
        **{f"{m}_of_{k}": f"<|{m}_of_{k}|>" for k in ("image", "video") for m in ("begin", "end")},
    )
    ids = tokenizer.convert_tokens_to_ids
    edge = (2 * PATCH) ** 2
    config = tf.Glm4vConfig(
        text_config=TEXT
        | {"vocab_size": len(tokenizer), "pad_token_id": tokenizer.pad_token_id}
        | {"rope_parameters": {"rope_type": "default", "rope_theta": 1e4, "mrope_section": [4, 6, 6]}},
        vision_config={
            "depth": 2,
            "hidden_size": 64,
            "intermediate_size": 64,
            "out_hidden_size": 64,
            "num_heads": 2,
            "patch_size": PATCH,
            "image_size": SIDE,
            "initializer_range": INIT_STD,
        },
        image_token_id=ids("<|image|>"),
        video_token_id=ids("<|video|>"),
        image_start_token_id=ids("<|begin_of_image|>"),
        image_end_token_id=ids("<|end_of_image|>"),
        video_start_token_id=ids("<|begin_of_video|>"),
        video_end_token_id=ids("<|end_of_video|>"),
    )
    images = tf.Glm4vImageProcessorPil(
        size={"shortest_edge": 2 * edge, "longest_edge": 18 * edge}, patch_size=PATCH
    )
    template = (
        "[gMASK]<sop>\n{%- for m in messages %}{% if m.role == 'user' %}<|user|>\n"
        + parts("<|begin_of_image|><|image|><|end_of_image|>")
        + "{% else %}<|assistant|>\n{{ m.content }}{% endif %}{% endfor %}"
        "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
    )
    video = {"video_processor_type": "Glm4vVideoProcessor"}
    processor = image_only(tf.Glm4vProcessor, video)(images, tokenizer, chat_template=template)
    save(folder, config, [PAD, "<|user|>"], tokenizer, processor)


def paligemma(folder: Path) -> None:
    tokenizer = tokenizer_with("<eos>", bos_token="<bos>", image_token="<image>")
    images = tf.SiglipImageProcessorPil(size=SQUARE)
    images.image_seq_length = (SIDE // PATCH) ** 2
    template = chat("<image>", "{content}\n", assistant="")
    processor = tf.PaliGemmaProcessor(images, tokenizer, chat_template=template)
    config = tf.PaliGemmaConfig(
        text_config=text(tf.GemmaConfig, tokenizer),
        vision_config=tf.SiglipVisionConfig(**TOWER, vision_use_head=False),
        image_token_index=tokenizer.convert_tokens_to_ids("<image>"),
        projection_dim=64,
        hidden_size=64,
    )
    save(folder, config, ["<eos>"], tokenizer, processor)


# Its processor reads no text without an image, and TRL gives it responses.
NO_TEXT_ALONE = (
    "TRL cannot train this architecture in the stage {}: ValueError: `images` are expected as arguments to a "
    "`PaliGemmaProcessor` instance."
)
PALIGEMMA = {stage: NO_TEXT_ALONE.format(stage) for stage in ("vm-cpt", "cot-sft")} | {
    "rl": "TRL's RL step cannot pass on labels, which PaliGemmaForConditionalGeneration needs for its images"
}
LLAVA_ONEVISION = {
    "rl": "TRL's RL step cannot pass on batch_num_images, which LlavaOnevisionForConditionalGeneration needs "
    "for its images"
}
FAMILIES = {
    "Qwen2.5-VL": Family(qwen2_5_vl),
    "Qwen3-VL": Family(qwen3_vl),
    "Qwen3-VL Thinking": Family(qwen3_vl_thinking),
    "Gemma 3": Family(gemma3),
    "InternVL": Family(internvl),
    "LLaVA-OneVision": Family(llava_onevision, refused=LLAVA_ONEVISION),
    "Idefics3": Family(idefics3),
    "SmolVLM": Family(smolvlm, needs=("num2words",)),
    "GLM-4V": Family(glm4v),
    "Mistral 3": Family(mistral3, needs=("torchvision",)),
    "PaliGemma": Family(paligemma, refused=PALIGEMMA),
}
