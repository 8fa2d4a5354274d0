"""The questions of this benchmark as a taskset for verifiers."""

from collections.abc import Iterator
from pathlib import Path

import verifiers.v1 as vf

from harness.export.parquet import read_rows
from harness.export.tools.verifiers.tasks import PolicyTask, exported_data

__all__ = ["PolicyTaskset"]


class PolicyConfig(vf.TasksetConfig):
    variant: str = "internalized"
    """internalized, in_context or override."""
    split: str = "train"


class PolicyTaskset(vf.Taskset[PolicyTask, PolicyConfig]):
    def load(self) -> Iterator[PolicyTask]:
        for row in read_rows(Path(__file__).parents[1], self.config.variant, self.config.split):
            yield PolicyTask(exported_data(row), self.config.task)
