"""One optimizer step: Muon on the matrices, AdamW on everything else, weights kept in float32.

The model itself computes in bfloat16, which is five times as fast on a CPU that has it; what is too small a
change for bfloat16 adds up in the float32 copies.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn

MUON_RATE, ADAM_RATE = 0.02, 2e-3
"""Learning rates at their highest; a stage's rate multiplies both."""
DECAY = 0.01
CLIP = 1.0
"""Norm of the gradient of what AdamW trains; Muon's steps have a size of their own."""


class Optimizer:
    """Trains the parameters of some modules that compute in bfloat16."""

    def __init__(self, modules: Iterable[nn.Module], sight: nn.Module) -> None:
        """sight, the vision tower, is in one of the modules and learns at a rate of its own."""
        found = list(modules)
        self.live = list({id(p): p for module in found for p in module.parameters()}.values())
        self.kept = [p.detach().float().clone().requires_grad_() for p in self.live]
        seeing = {id(parameter) for parameter in sight.parameters()}
        # An embedding is a table, not a map, though it is stored as a matrix.
        layers = (layer for module in found for layer in module.modules())
        tables = {id(layer.weight) for layer in layers if isinstance(layer, nn.Embedding)}
        groups: dict[tuple[bool, bool], list[torch.Tensor]] = {}
        for live, kept in zip(self.live, self.kept, strict=True):
            is_map = live.ndim == 2 and id(live) not in tables
            groups.setdefault((is_map, id(live) in seeing), []).append(kept)
        self.others = [kept for (is_map, _), group in groups.items() for kept in group if not is_map]
        maps, others = (
            [{"params": group, "sight": sees} for (is_map, sees), group in groups.items() if is_map == wanted]
            for wanted in (True, False)
        )
        self.optimizers: list[Any] = [
            torch.optim.Muon(maps, lr=MUON_RATE, weight_decay=DECAY),
            torch.optim.AdamW(others, lr=ADAM_RATE, betas=(0.9, 0.98), weight_decay=DECAY),
        ]

    @torch.no_grad()
    def step(self, rate: float, sight_rate: float) -> None:
        """Moves the weights against the gradients that were added up, and clears those.

        The rates are shares of the highest, of the vision tower and of everything else.
        """
        for live, kept in zip(self.live, self.kept, strict=True):
            kept.grad = None if live.grad is None else live.grad.float()
            live.grad = None
        nn.utils.clip_grad_norm_(self.others, CLIP)
        for optimizer, highest in zip(self.optimizers, (MUON_RATE, ADAM_RATE), strict=True):
            for group in optimizer.param_groups:
                group["lr"] = highest * (sight_rate if group["sight"] else rate)
            optimizer.step()
        self.publish()

    @torch.no_grad()
    def publish(self) -> None:
        """Copies the float32 weights into the model."""
        for live, kept in zip(self.live, self.kept, strict=True):
            live.copy_(kept)

    def state(self) -> dict[str, Any]:
        return {"kept": self.kept, "optimizers": [optimizer.state_dict() for optimizer in self.optimizers]}

    @torch.no_grad()
    def load(self, state: dict[str, Any]) -> None:
        for kept, saved in zip(self.kept, state["kept"], strict=True):
            kept.copy_(saved)
        for optimizer, saved in zip(self.optimizers, state["optimizers"], strict=True):
            optimizer.load_state_dict(saved)
        self.publish()
