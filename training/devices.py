"""What a run trains on: the processes of `accelerate launch` or torchrun, and how they share an update."""

from __future__ import annotations

import torch
from accelerate import PartialState

from harness.errors import UserError


def gpu() -> bool:
    return torch.cuda.is_available()


def processes() -> PartialState:
    """All processes of the run; accelerate must be told where there is no GPU, or it sees only this one."""
    return PartialState(cpu=not gpu())


def accumulation(batch: int, micro_batch: int) -> int:
    """How many passes make an update of `batch` sequences over all devices."""
    at_once: int = micro_batch * processes().num_processes
    if batch % at_once:
        raise UserError(
            f"batch of {batch}: expected a multiple of micro_batch x processes = {at_once}; change either"
        )
    return batch // at_once
