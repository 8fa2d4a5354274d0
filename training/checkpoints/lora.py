"""Which weights a stage changes: those of a LoRA adapter, or all without those of the vision tower."""

from typing import Any

import torch
from peft import LoraConfig

from training.config import SftSettings


def lora_config(settings: SftSettings, model: Any) -> LoraConfig | None:
    """LoRA on the linear layers of the language model; None if the settings train every weight."""
    if not settings.lora_rank:
        return None
    return LoraConfig(
        r=settings.lora_rank,
        lora_alpha=2 * settings.lora_rank,
        target_modules=language_layers(model),
        task_type="CAUSAL_LM",
    )


def language_layers(model: Any) -> list[str]:
    """Names of the linear layers that stand inside the language model, without its head.

    Their place decides and not their names, so towers, aligners and mergers of any name are left out. A tower
    inside the language model has a config of its own.
    """
    decoder = model.get_decoder()
    outside = {id(model.get_output_embeddings())}
    for tower in _towers(decoder):
        outside |= {id(module) for module in tower.modules()}
    inside = {id(module) for module in decoder.modules()} - outside
    return [
        name
        for name, module in model.named_modules()
        if id(module) in inside and isinstance(module, torch.nn.Linear)
    ]


def freeze_vision(model: Any) -> None:
    """Freezes all weights except those of the language model, with its embeddings and its head."""
    decoder = model.get_decoder()
    model.requires_grad_(False)
    for part in (decoder, model.get_input_embeddings(), model.get_output_embeddings()):
        part.requires_grad_(True)
    for tower in _towers(decoder):
        tower.requires_grad_(False)


def _towers(decoder: Any) -> list[torch.nn.Module]:
    """The towers inside a language model: its modules that have another kind of config."""
    own = decoder.config
    return [part for part in decoder.modules() if type(getattr(part, "config", own)) is not type(own)]
