"""RUN/log.jsonl, the metrics logged while a run trains: its entries, and the history of each stage.

A killed session has logged steps after its last checkpoint. The next session resumes there and repeats them:

    session 1: resumed=0, steps 1 2 3 4 5        killed; its last checkpoint is of step 4
    session 2: resumed=4, steps 5 6 7            history: 1-4 of session 1, 5-7 of session 2
"""

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated

import msgspec

from harness.errors import UserError
from harness.files import store
from harness.files.kinds import TRAINING

# RECORD_FILE (training.train.TrainingRecord) is in the folder of the run and of each finished stage.
LOG, RECORD_FILE = "log.jsonl", TRAINING
# More cannot be shown as hours, minutes and seconds.
MOST_SECONDS = 1e12
# By metric. None if the value was not a finite number.
MetricValues = dict[str, float | None]


class LogEntry(msgspec.Struct, frozen=True, omit_defaults=True):
    """The metrics of one step. An entry with `resumed` instead marks the start of a session."""

    stage: str
    step: int = 0
    # Number of steps of the stage.
    of: int = 0
    # Since the stage began, summed over its sessions.
    seconds: Annotated[float, msgspec.Meta(ge=0, le=MOST_SECONDS)] = 0.0
    values: MetricValues = {}
    # The step from which the session resumed; 0 if it started the stage.
    resumed: int | None = None


@dataclass(slots=True)
class StageHistory:
    """The metrics of a stage by step, without steps that were repeated after a kill."""

    total_steps: int = 0
    seconds: float = 0.0
    steps: dict[int, MetricValues] = field(default_factory=dict)
    # Seconds since the stage began, by step.
    elapsed: dict[int, float] = field(default_factory=dict)

    @property
    def last_step(self) -> int:
        return max(self.steps, default=0)


def build_history(entries: Iterable[LogEntry]) -> dict[str, StageHistory]:
    """History of each stage, in the order in which they began. Entries of the same step are merged."""
    stages: dict[str, StageHistory] = {}
    for entry in entries:
        stage = stages.setdefault(entry.stage, StageHistory())
        if entry.resumed is not None:
            stage.steps = {step: values for step, values in stage.steps.items() if step <= entry.resumed}
            stage.seconds = stage.seconds if entry.resumed else 0.0
        else:
            stage.total_steps, stage.seconds = entry.of, entry.seconds
            stage.steps[entry.step] = stage.steps.get(entry.step, {}) | entry.values
            stage.elapsed[entry.step] = entry.seconds
    return stages


def read_history(run: Path) -> dict[str, StageHistory]:
    """The history of a run, which may be training: an incomplete last line is ignored and not removed."""
    path = run / LOG
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected the folder of a `trimpi train` run")
    return build_history(store.Log(path, LogEntry).read())
