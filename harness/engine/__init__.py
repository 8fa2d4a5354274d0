"""Runs tasks in processes of this machine or of a Ray cluster, and yields their results as they arrive.

    map      many short tasks, such as pictures to render: the function returns the result of a task
    stream   long tasks of several items, such as prompts: the function yields results, and its process keeps
             what it caches, such as a model; each process has a GPU if there are any

A task may be repeated: what it writes does not depend on how often and where it is run. `base` says what
engines have in common, `local` runs processes of this machine, and `ray`, which alone knows Ray, those of a
cluster.
"""

import os
from dataclasses import dataclass
from typing import Literal

from harness.engine.base import Engine
from harness.engine.local import Local, visible_gpus
from harness.engine.ray import Ray
from harness.errors import UserError

__all__ = ["THIS_MACHINE", "BlocksConfig", "Engine", "EngineConfig", "Local", "Ray"]


@dataclass(frozen=True)
class EngineConfig:
    """Where processes run."""

    engine: Literal["local", "ray"] = "local"
    """local: on this machine. ray: on a Ray cluster, whose machines share the folders."""
    address: str | None = None
    """With --engine ray: the address of the cluster, as HOST:PORT; by default that of this machine, or none:
    then Ray starts on this machine."""

    def __post_init__(self) -> None:
        if self.engine == "local" and self.address is not None:
            raise UserError(f"address: expected only with --engine ray, got {self.address}")

    def open(self, workers: int | None = None, gpus: bool = False) -> Engine:
        """An engine of so many processes; by default as many as there are cores, or GPUs for them.

        gpus: whether each process of `stream` gets a GPU, if there are any.
        """
        if self.engine == "ray":
            return Ray(self.address, workers, gpus)
        return Local(workers if workers is not None else os.cpu_count() or 1, visible_gpus() if gpus else ())


THIS_MACHINE = EngineConfig()


@dataclass(frozen=True)
class BlocksConfig(EngineConfig):
    """Which processes work, and on which blocks of a benchmark."""

    workers: int | None = None
    """With --engine local: the number of processes; by default one per core."""
    blocks: str | None = None
    """Generate only the blocks FIRST:END of a large benchmark, without END. Several machines can generate
    different blocks; the one that completes the last block completes the benchmark."""

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.engine == "ray" and self.workers is not None:
            raise UserError(f"workers: expected only with --engine local, got {self.workers}")
