"""How an update's sequences are shared out over devices and passes."""

from __future__ import annotations

from accelerate import PartialState

from harness.errors import UserError


def accumulation(batch: int, micro_batch: int) -> int:
    """How many passes make an update of `batch` sequences over all devices."""
    at_once: int = micro_batch * PartialState().num_processes
    if batch % at_once:
        raise UserError(
            f"batch of {batch}: expected a multiple of micro_batch x processes = {at_once}; change either"
        )
    return batch // at_once
