"""Muon: momentum whose update of a matrix is orthogonalized, so that it changes all directions equally.

The update is the nearest matrix with singular values of about 1. It is found without a decomposition: an odd
polynomial of the matrix maps each singular value s to p(s), and five iterations bring all of them close to 1
(K. Jordan et al., Muon, 2024). `torch.optim.Muon` always computes this in bfloat16, which takes most of a
training step on a CPU that does not support it.
"""

import math
from typing import Any

import torch

MOMENTUM = 0.95
ITERATIONS = 5
# p(s) = A s + B s^3 + C s^5
A, B, C = 3.4445, -4.775, 2.0315


class Muon(torch.optim.Optimizer):
    """Trains matrices; the iterations compute in `dtype`."""

    def __init__(self, params: Any, lr: float, weight_decay: float, dtype: torch.dtype) -> None:
        super().__init__(params, {"lr": lr, "weight_decay": weight_decay})
        self.dtype = dtype

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for matrix in group["params"]:
                if matrix.grad is None:
                    continue
                state = self.state[matrix]
                if not state:
                    state["momentum"] = torch.zeros_like(matrix)
                momentum = state["momentum"].lerp_(matrix.grad, 1 - MOMENTUM)
                update = orthogonalized(matrix.grad.lerp(momentum, MOMENTUM).to(self.dtype))
                rows, columns = matrix.shape
                matrix.mul_(1 - group["lr"] * group["weight_decay"])
                matrix.add_(update, alpha=-group["lr"] * math.sqrt(max(1, rows / columns)))


def orthogonalized(matrix: torch.Tensor) -> torch.Tensor:
    """A matrix with the same singular vectors and singular values of about 1."""
    if matrix.shape[0] > matrix.shape[1]:
        return orthogonalized(matrix.T).T
    matrix = matrix / matrix.norm().clamp(min=1e-7)
    for _ in range(ITERATIONS):
        gram = matrix @ matrix.T
        matrix = A * matrix + (B * gram + C * gram @ gram) @ matrix
    return matrix
