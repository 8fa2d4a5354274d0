"""The processes of a run (`accelerate launch` or torchrun) and how they share an update."""

import torch
from accelerate import PartialState

from harness.errors import UserError


def process_state() -> PartialState:
    """The state of all processes of the run. Raises UserError if one process sees several GPUs."""
    # Without a GPU accelerate sees only this process, unless `cpu` is set.
    state = PartialState(cpu=not torch.cuda.is_available())
    # One process would use all GPUs in threads, and the batch sizes computed here would be wrong.
    if state.num_processes == 1 and torch.cuda.device_count() > 1:
        raise UserError(
            f"expected one process per GPU, got one process for {torch.cuda.device_count()} GPUs: run "
            "`accelerate launch -m training.cli train ...`, or select one GPU with CUDA_VISIBLE_DEVICES=0"
        )
    return state


def accumulation_steps(batch_size: int, micro_batch: int) -> int:
    """Number of passes per update of `batch_size` sequences over all devices."""
    sequences_per_pass: int = micro_batch * process_state().num_processes
    if batch_size % sequences_per_pass:
        raise UserError(
            f"batch of {batch_size}: expected a multiple of micro_batch x processes = {sequences_per_pass}; "
            "change the batch size or micro_batch"
        )
    return batch_size // sequences_per_pass
