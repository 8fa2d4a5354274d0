"""Loads the checkpoint from which a stage starts, with the settings of a recipe that apply to every stage."""

from typing import Any

from harness.backends.local.checkpoint import load_checkpoint
from harness.errors import UserError
from harness.text import reason
from training.checkpoints.lora import freeze_vision
from training.checkpoints.pixels import limit_pixels
from training.checkpoints.trained import CPU
from training.config import Recipe


def load_parent(recipe: Recipe, parent: str) -> tuple[Any, Any]:
    """Model and processor of a folder or hub id.

    Raises UserError if a weight is missing, or if the checkpoint does not have what a setting changes.
    """
    model, processor = load_checkpoint(parent, CPU)
    name = f"hf:{parent}"
    if recipe.min_pixels is not None or recipe.max_pixels is not None:
        limit_pixels(name, processor, recipe.min_pixels, recipe.max_pixels)
    if recipe.attention is not None:
        set_attention(name, model, recipe.attention)
    if recipe.freeze_vision:
        freeze_vision(model)
    return model, processor


def set_attention(name: str, model: Any, attention: str) -> None:
    before = model.config._attn_implementation
    try:
        model.set_attn_implementation(attention)
    except (ImportError, OSError, ValueError) as error:
        raise UserError(f"attention: expected one that {name} can use here: {reason(error)}") from error
    # transformers only logs that an architecture has a fixed implementation.
    if before == model.config._attn_implementation != attention:
        kind = type(model).__name__
        raise UserError(f"attention: expected {before}, all that {kind} has, got {attention}; remove it")
