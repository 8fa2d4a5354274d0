"""Writes a trained checkpoint, and checks that no weight is lost on the way.

    RUN/.STAGE/trained     weights, or an adapter      -> load_saved, merge -> weights of RUN/STAGE
    parent                 every other file, unchanged -> copied            -> RUN/STAGE

Loading and training change settings of tokenizer, processor and generation. None of this is written.
"""

import shutil
from pathlib import Path
from typing import Any

import torch
from peft import PeftModel, get_peft_model_state_dict
from peft.utils import load_peft_weights
from safetensors import SafetensorError
from transformers.utils import cached_file

from harness.backends.local.checkpoint import check_location, load_checkpoint
from harness.errors import UserError
from harness.text import reason
from training.curves.history import RECORD_FILE

CPU = torch.device("cpu")
# Files of configurations, tokenizers and templates. A checkpoint's other files are weights or documents.
SETTINGS = (".json", ".jinja", ".txt", ".model")


def load_saved(model_class: Any, folder: str, dtype: torch.dtype) -> Any:
    """A model as a Trainer saved it. UserError if a weight is missing or unknown, or a file is damaged."""
    try:
        model, info = model_class.from_pretrained(
            folder, dtype=dtype, output_loading_info=True, local_files_only=True
        )
    except (SafetensorError, OSError) as error:
        raise UserError(
            f"{folder}: expected the weights of the model that was trained, but they cannot be read: "
            f"{reason(error)}; delete the folder and run the same command again"
        ) from error
    _check_keys(folder, info["missing_keys"], info["unexpected_keys"])
    return model


def export(trained: Path, parent: str, out: Path) -> None:
    """Writes the trained weights as an ordinary checkpoint, in the precision of the checkpoint `parent`."""
    model, _ = load_checkpoint(parent, CPU)
    precision = model.dtype
    if (trained / "adapter_config.json").exists():
        model = _merged(model.float(), trained)
    else:
        model = load_saved(type(model), str(trained), torch.float32)
    partial = out.with_name(f".{out.name}.new")
    shutil.rmtree(partial, ignore_errors=True)
    model.to(precision).save_pretrained(partial)
    model_class = type(model)
    del model
    _copy_settings(parent, partial)
    load_saved(model_class, str(partial), precision)
    # A checkpoint without training.json is unfinished: an earlier run was killed, and its export is replaced.
    shutil.rmtree(out, ignore_errors=True)
    partial.replace(out)


def _merged(model: Any, adapter: Path) -> Any:
    adapted = PeftModel.from_pretrained(model, adapter)
    loaded, saved = get_peft_model_state_dict(adapted).keys(), load_peft_weights(str(adapter)).keys()
    _check_keys(str(adapter), loaded - saved, saved - loaded)
    return adapted.merge_and_unload()


def _check_keys(folder: str, missing: set[str], unexpected: set[str]) -> None:
    """Missing weights would be random, and unexpected ones would be lost; both libraries only log this."""
    for kind, keys in (("are missing", missing), ("are unknown", unexpected)):
        if keys:
            raise UserError(
                f"{folder}: expected the weights of the model that was trained, but {len(keys)} {kind}, such "
                f"as {min(keys)}; delete the folder and train this stage again"
            )


def _copy_settings(parent: str, out: Path) -> None:
    """Replaces all files except the weights by those of the parent, a folder or an id on the hub."""
    for file in out.iterdir():
        if ".safetensors" not in file.name:
            file.unlink()
    config = cached_file(parent, "config.json", **check_location(f"hf:{parent}", parent))
    for file in Path(config).parent.iterdir():
        of_weights = file.name.endswith(".index.json")
        if file.suffix in SETTINGS and not of_weights and file.name != RECORD_FILE:
            shutil.copyfile(file, out / file.name)
