"""Mixed-precision optimizer: Muon for matrices, AdamW for everything else, with float32 master weights.

    parameter                                          optimizer   highest learning rate
    weight matrices of linear layers                   Muon        0.02
    embedding table, biases, norms, patch projection   AdamW       0.002

Muon orthogonalizes the update of a matrix, so the update's size does not depend on the gradient's size. That
suits matrices that map vectors to vectors. An embedding is stored as a matrix but is a table of vectors.

The model computes in bfloat16 where the processor multiplies it (`compute_dtype`). Updates that are too small
for bfloat16 accumulate in the float32 master weights, which are copied to the model after each step.
"""

from collections.abc import Sequence
from typing import Any

import torch
from torch import nn

from training.base.muon import Muon

# Highest learning rates; a stage's rate multiplies both.
MUON_RATE, ADAM_RATE = 0.02, 2e-3
WEIGHT_DECAY = 0.01
# Largest gradient norm of the AdamW parameters. Muon needs no clipping because its update size is fixed.
MAX_NORM = 1.0


def compute_dtype(device: torch.device) -> torch.dtype:
    """bfloat16 on a GPU and on a CPU that multiplies it. With AVX2 alone it takes 8 times as long or more."""
    # On other processors than x86 the key is missing.
    supported = device.type == "cuda" or torch.cpu.get_capabilities().get("avx512_bf16", False)
    return torch.bfloat16 if supported else torch.float32


class Optimizer:
    """Trains the parameters of modules that compute in bfloat16 or float32."""

    def __init__(self, modules: Sequence[nn.Module], vision_tower: nn.Module) -> None:
        """The vision tower is part of one of the modules and has a separate learning rate."""
        # A parameter that several modules share is listed once.
        unique = {id(parameter): parameter for module in modules for parameter in module.parameters()}
        self.parameters = list(unique.values())
        self.masters = [p.detach().float().clone().requires_grad_() for p in self.parameters]
        vision_ids = {id(parameter) for parameter in vision_tower.parameters()}
        layers = [layer for module in modules for layer in module.modules()]
        table_ids = {id(layer.weight) for layer in layers if isinstance(layer, nn.Embedding)}
        # Master weights by (trained by Muon, part of the vision tower).
        groups: dict[tuple[bool, bool], list[torch.Tensor]] = {}
        for parameter, master in zip(self.parameters, self.masters, strict=True):
            by_muon = parameter.ndim == 2 and id(parameter) not in table_ids
            groups.setdefault((by_muon, id(parameter) in vision_ids), []).append(master)
        muon: list[dict[str, Any]] = []
        adam: list[dict[str, Any]] = []
        for (by_muon, in_vision), masters in groups.items():
            # The name "sight" is stored in state.pt.
            (muon if by_muon else adam).append({"params": masters, "sight": in_vision})
        self.adam_masters = [master for group in adam for master in group["params"]]
        self.optimizers: list[Any] = [
            Muon(muon, MUON_RATE, WEIGHT_DECAY, compute_dtype(self.masters[0].device)),
            torch.optim.AdamW(adam, lr=ADAM_RATE, betas=(0.9, 0.98), weight_decay=WEIGHT_DECAY),
        ]

    @torch.no_grad()
    def step(self, rate: float, vision_rate: float) -> None:
        """Update the weights with the accumulated gradients, and clear the gradients.

        The rates are shares of the highest learning rates, for the vision tower and for everything else.
        """
        for parameter, master in zip(self.parameters, self.masters, strict=True):
            master.grad = None if parameter.grad is None else parameter.grad.float()
            parameter.grad = None
        nn.utils.clip_grad_norm_(self.adam_masters, MAX_NORM)
        for optimizer, highest in zip(self.optimizers, (MUON_RATE, ADAM_RATE), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = highest * (vision_rate if group["sight"] else rate)
            optimizer.step()
        self._update_model()

    @torch.no_grad()
    def _update_model(self) -> None:
        for parameter, master in zip(self.parameters, self.masters, strict=True):
            parameter.copy_(master)

    def state(self) -> dict[str, Any]:
        return {"kept": self.masters, "optimizers": [optimizer.state_dict() for optimizer in self.optimizers]}

    @torch.no_grad()
    def load(self, state: dict[str, Any]) -> None:
        for master, saved in zip(self.masters, state["kept"], strict=True):
            master.copy_(saved)
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self._update_model()
