"""Loading a transformers checkpoint whole, or saying what is missing."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

from harness.backends.image_processor import load_processor
from harness.errors import UserError

WEIGHTS = (
    "model.safetensors",
    "model.safetensors.index.json",
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
)


def load_checkpoint(argument: str, device: torch.device) -> tuple[Any, Any]:
    """Model and processor of a folder, which never touches the network, or else of a hub id.

    bfloat16 on a GPU, the checkpoint's own dtype on a CPU. UserError when it cannot be loaded whole.
    """
    local = Path(argument).exists() or not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", argument)
    if local:
        _check_folder(argument)
    try:
        processor = load_processor(argument, local_files_only=local)
        model, info = transformers.AutoModelForImageTextToText.from_pretrained(
            argument,
            dtype=torch.bfloat16 if device.type == "cuda" else "auto",
            local_files_only=local,
            output_loading_info=True,
        )
        model = model.to(device).eval()
    except (OSError, ValueError, ImportError, RuntimeError, SafetensorError, StrictDataclassError) as error:
        what = "an image-text-to-text checkpoint" if local else "a folder here or a checkpoint of the hub"
        raise UserError(f"hf:{argument}: expected {what}; transformers says: {error}") from error
    # transformers would draw these at random and only log it.
    if missing := sorted(info["missing_keys"]):
        raise UserError(
            f"hf:{argument}: expected every weight, {len(missing)} are missing, such as {missing[0]}; "
            "copy or save the checkpoint again"
        )
    _check_processor(argument, processor)
    return model, processor


def _check_folder(argument: str) -> None:
    folder = Path(argument)
    if not folder.is_dir():
        raise UserError(
            f"hf:{argument}: expected a checkpoint's folder or a hub id such as Qwen/Qwen2.5-VL-3B-Instruct, "
            f"got a path where there is {'a file' if folder.exists() else 'nothing'}"
        )
    files = sorted(path.name for path in folder.iterdir())
    found = f"found {', '.join(files[:8]) or 'nothing'}{' and more' if len(files) > 8 else ''}"
    if "config.json" not in files:
        hint = "; merge the LoRA adapter into its base first" if "adapter_config.json" in files else ""
        raise UserError(f"hf:{argument}: expected config.json in the folder, {found}{hint}")
    if not set(WEIGHTS) & set(files):
        raise UserError(f"hf:{argument}: expected weights ({', '.join(WEIGHTS)}), {found}")


def _check_processor(argument: str, processor: Any) -> None:
    """Makes it pad on the left, where generation needs it; UserError where it lacks something."""
    if not hasattr(processor, "image_processor") or not hasattr(processor, "tokenizer"):
        kind = type(processor).__name__
        raise UserError(f"hf:{argument}: expected a processor of images and text, got a {kind}")
    processor.chat_template = processor.chat_template or processor.tokenizer.chat_template
    if not processor.chat_template:
        raise UserError(
            f"hf:{argument}: expected a chat template (chat_template.jinja), got none; "
            "take the instruction-tuned checkpoint, or add its template"
        )
    processor.tokenizer.padding_side = "left"
    if processor.tokenizer.pad_token_id is None:
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
