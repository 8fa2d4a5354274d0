"""Loads a transformers checkpoint, or says what is missing from it."""

import re
from pathlib import Path
from typing import Any

import torch
import transformers
from huggingface_hub.errors import StrictDataclassError
from safetensors import SafetensorError

from harness.backends.image_processor import load_processor
from harness.errors import UserError


def load_checkpoint(argument: str, device: torch.device) -> tuple[Any, Any]:
    """Model and processor of a local folder, without network access, or of a hub id.

    The dtype is bfloat16 on a GPU, the checkpoint's own on a CPU. UserError if anything is missing.
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
        expected = "an image-text-to-text checkpoint" if local else "a local or a hub checkpoint"
        raise UserError(f"hf:{argument}: expected {expected}, but transformers reports: {error}") from error
    # transformers initializes missing weights randomly and only logs it.
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
        raise UserError(f"hf:{argument}: expected a checkpoint's folder, or a hub id as OWNER/NAME")
    if not (folder / "config.json").is_file():
        is_adapter = (folder / "adapter_config.json").exists()
        hint = "merge the LoRA adapter into its base first" if is_adapter else "copy the checkpoint again"
        raise UserError(f"hf:{argument}: expected config.json in the folder, found none; {hint}")


def _check_processor(argument: str, processor: Any) -> None:
    """Prepares the processor for generation. UserError if it lacks an image processor or a chat template."""
    if not hasattr(processor, "image_processor") or not hasattr(processor, "tokenizer"):
        raise UserError(f"hf:{argument}: expected an image-text processor, got {type(processor).__name__}")
    processor.chat_template = processor.chat_template or processor.tokenizer.chat_template
    if not processor.chat_template:
        raise UserError(
            f"hf:{argument}: expected a chat template (chat_template.jinja), got none; "
            "use the instruction-tuned checkpoint, or add its template"
        )
    # New tokens are appended on the right, so padding must be on the left.
    processor.tokenizer.padding_side = "left"
    if processor.tokenizer.pad_token_id is None:
        processor.tokenizer.pad_token = processor.tokenizer.eos_token
