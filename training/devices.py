"""What a run trains on: the processes of `accelerate launch` or torchrun, and how they share an update."""

from __future__ import annotations

import torch
from accelerate import PartialState

from harness.errors import UserError


def gpu() -> bool:
    return torch.cuda.is_available()


def processes() -> PartialState:
    """All processes of the run; accelerate must be told where there is no GPU, or it sees only this one."""
    state = PartialState(cpu=not gpu())
    # transformers would split each batch over them in threads, and no stage here reckons with that.
    if state.num_processes == 1 and torch.cuda.device_count() > 1:
        raise UserError(
            f"expected a process for each of {torch.cuda.device_count()} GPUs, got one for all: start it as "
            "`accelerate launch -m training.cli train ...`, or show it one GPU by CUDA_VISIBLE_DEVICES=0"
        )
    return state


def accumulation(batch: int, micro_batch: int) -> int:
    """How many passes make an update of `batch` sequences over all devices."""
    at_once: int = micro_batch * processes().num_processes
    if batch % at_once:
        raise UserError(
            f"batch of {batch}: expected a multiple of micro_batch x processes = {at_once}; change either"
        )
    return batch // at_once
