"""Loads a transformers checkpoint, or says what is missing from it."""

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers.models.auto.modeling_auto import (
    MODEL_FOR_CAUSAL_LM_MAPPING,
    MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING,
)

from harness.backends.identity import hub_revision, is_local
from harness.backends.local.chat import check_template
from harness.backends.local.image_processor import load_processor
from harness.backends.local.text_processor import TextProcessor
from harness.backends.local.tokens import valid_ids
from harness.errors import UserError
from harness.files import store
from harness.registry import to_install
from harness.text import printable, short

WITH_ADAPTER = (
    "contains whole weights and a LoRA adapter, which would be added to them; remove adapter_config.json and "
    "the adapter if it is merged already, or merge it"
)
# Packages of the extra [vision], which the processors of some models import.
FOR_SOME_PROCESSORS = ("torchvision", "num2words")
PICKLED = ("*.bin", "*.pt", "*.pth", "*.ckpt")


def load_checkpoint(argument: str, device: torch.device, trust_remote_code: bool = False) -> tuple[Any, Any]:
    """Model and processor of a local folder, without network access, or of a hub id.

    The dtype is bfloat16 on a GPU, the checkpoint's own on a CPU. The processor is a TextProcessor if the
    model reads no images. UserError if anything is missing, or if it needs its own code, which is run only
    with `trust_remote_code`.
    """
    name = f"hf:{argument}"
    files = check_location(name, argument) | {"trust_remote_code": trust_remote_code}
    model_class, processor = read_processor(name, argument, files)
    with reported(name):
        model, info = model_class.from_pretrained(
            argument,
            dtype=torch.bfloat16 if device.type == "cuda" else "auto",
            use_safetensors=True,
            output_loading_info=True,
            **files,
        )
        model = model.to(device).eval()
    # transformers initializes missing weights randomly and only logs it.
    if missing := sorted(info["missing_keys"]):
        raise UserError(
            f"{name}: expected every weight, {len(missing)} are missing, such as {missing[0]}; "
            "copy or save the checkpoint again"
        )
    if getattr(model, "_hf_peft_config_loaded", False):
        raise UserError(f"{name}: {WITH_ADAPTER}")
    _set_padding(name, processor.tokenizer, model.generation_config)
    return model, processor


def read_processor(name: str, argument: str, files: dict[str, Any]) -> tuple[Any, Any]:
    """The class that loads the model, and its processor, a TextProcessor if the model reads no images.

    `files` says where from_pretrained finds them. UserError if the processor cannot render a prompt.
    """
    with reported(name):
        config = transformers.AutoConfig.from_pretrained(argument, **files)
    images, model_class = _model_class(name, config)
    with reported(name):
        if not images:
            tokenizer = transformers.AutoTokenizer.from_pretrained(argument, **files)
        else:
            processor = load_processor(argument, config, **files)
    if not images:
        takes_parts = not tokenizer.chat_template or check_template(name, tokenizer, images=False)
        return model_class, TextProcessor(tokenizer, takes_parts)
    if not hasattr(processor, "tokenizer") or not hasattr(processor, "image_processor"):
        raise UserError(f"{name}: expected an image-text processor, got {type(processor).__name__}")
    processor.chat_template = processor.chat_template or processor.tokenizer.chat_template
    if not processor.chat_template:
        raise UserError(
            f"{name}: expected a chat template (chat_template.jinja), got none; "
            "use the instruction-tuned checkpoint, or add its template"
        )
    return model_class, processor


def check_location(name: str, argument: str) -> dict[str, Any]:
    """Where from_pretrained finds the files: in a local folder that looks complete, or under a hub id."""
    if not argument:
        raise UserError(f"{name} expected the path of a checkpoint's folder, such as {name}PATH, or a hub id")
    if is_local(argument):
        _check_folder(name, Path(argument))
        return {"local_files_only": True}
    revision, cached = hub_revision(argument)
    if revision is None:
        raise UserError(
            f"{name}: expected a local or a hub checkpoint, found no such folder here, and the hub has none "
            "of this name or cannot be reached"
        )
    return {"revision": revision, "local_files_only": cached}


def _check_folder(name: str, folder: Path) -> None:
    if not folder.is_dir():
        found = "a file" if folder.exists() else "no such folder"
        raise UserError(f"{name}: expected a checkpoint's folder, or a hub id as OWNER/NAME, found {found}")
    adapter = (folder / "adapter_config.json").exists()
    if not (folder / "config.json").is_file():
        hint = "name a checkpoint's folder, or copy it again if files are missing"
        if adapter:
            hint = "merge the LoRA adapter into its base first"
        stages = sorted(folder.glob("[!.]*/config.json"), key=lambda file: file.stat().st_mtime)
        if stages:
            hint = f"name one of the checkpoints in it, such as {name}/{stages[-1].parent.name}"
        raise UserError(f"{name}: expected config.json in the folder, found none; {hint}")
    if adapter:
        raise UserError(f"{name}: {WITH_ADAPTER}")
    generation = folder / "generation_config.json"
    if generation.exists():
        # transformers would ignore a file that it cannot read, and with it the end tokens.
        with reported(name):
            store.read_json(generation, dict[str, Any])
    pickled = [file.name for pattern in PICKLED for file in sorted(folder.glob(pattern))]
    if pickled and not any(folder.glob("*.safetensors")):
        raise UserError(
            f"{name}: expected weights in safetensors files, got {pickled[0]}, which may contain code; "
            "save the checkpoint as safetensors"
        )


@contextmanager
def reported(name: str, library: str = "transformers") -> Iterator[None]:
    """Within the context, turns what the library says about a checkpoint into a UserError."""
    try:
        yield
    # Other people's files fail in every way: KeyError, TypeError, and Exception itself from tokenizers.
    except Exception as error:
        if "trust_remote_code" in str(error):
            raise UserError(
                f"{name}: needs code that the checkpoint ships, which is not run; read it, and if you trust "
                "it, give --trust-remote-code to harness eval"
            ) from error
        missing = [p for p in FOR_SOME_PROCESSORS if p in str(error).lower() and find_spec(p) is None]
        if missing:
            needed = " and ".join(missing)
            raise UserError(f"{name}: its processor needs {needed}; {to_install('vision')}") from error
        reason = short(printable(" ".join(str(error).split()) or type(error).__name__), 300)
        message = f"{name}: expected a complete checkpoint, but {library} reports: {reason}"
        raise UserError(message) from error


def _model_class(name: str, config: Any) -> tuple[bool, Any]:
    """Whether the checkpoint reads images, and the class that loads it."""
    shipped = getattr(config, "auto_map", None) or {}
    for images, auto, known in (
        (True, transformers.AutoModelForImageTextToText, MODEL_FOR_IMAGE_TEXT_TO_TEXT_MAPPING),
        (False, transformers.AutoModelForCausalLM, MODEL_FOR_CAUSAL_LM_MAPPING),
    ):
        if type(config) in known or auto.__name__ in shipped:
            return images, auto
    raise UserError(f"{name}: expected a language model, with or without images, got {config.model_type}")


def _set_padding(name: str, tokenizer: Any, generation_config: Any) -> None:
    """New tokens are appended on the right, so padding must be on the left. Any token can pad."""
    tokenizer.padding_side = "left"
    if tokenizer.pad_token_id is not None:
        return
    own = generation_config
    known = valid_ids(tokenizer, own.pad_token_id, tokenizer.eos_token_id, own.eos_token_id)
    if not known:
        raise UserError(
            f"{name}: expected a padding or an end token in tokenizer_config.json or generation_config.json, "
            "found neither; set eos_token"
        )
    tokenizer.pad_token = tokenizer.convert_ids_to_tokens(known[0])
