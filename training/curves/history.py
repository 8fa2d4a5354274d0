"""What was logged while a run trained, RUN/log.jsonl: its lines, and how they are read."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from harness.errors import UserError
from harness.files.store import DECODE_ERRORS

LOG = "log.jsonl"
Values = dict[str, float | None]
"""By metric; None for what was no finite number."""


class Line(msgspec.Struct, frozen=True, omit_defaults=True):
    """The values of one step or, with `resumed`, the step that a sitting went on from; 0 begins the stage."""

    stage: str
    step: int = 0
    of: int = 0
    """Steps of the whole stage."""
    seconds: float = 0.0
    """Since the stage began, over all its sittings; the time between them is not counted."""
    values: Values = {}
    resumed: int | None = None


@dataclass(slots=True)
class Stage:
    """What stands of a stage's lines."""

    of: int = 0
    seconds: float = 0.0
    steps: dict[int, Values] = field(default_factory=dict)

    @property
    def done(self) -> int:
        return max(self.steps, default=0)


def history(lines: Iterable[Line]) -> dict[str, Stage]:
    """Stages in the order they began.

    What a killed sitting logged after the checkpoint that the next one went on from was done again: it is
    dropped. Lines of the same step (training and evaluation) are put together.
    """
    stages: dict[str, Stage] = {}
    for line in lines:
        stage = stages.setdefault(line.stage, Stage())
        if line.resumed is not None:
            stage.steps = {step: values for step, values in stage.steps.items() if step <= line.resumed}
            stage.seconds = stage.seconds if line.resumed else 0.0
        else:
            stage.of, stage.seconds = line.of, line.seconds
            stage.steps[line.step] = stage.steps.get(line.step, {}) | line.values
    return stages


def read(run: Path) -> dict[str, Stage]:
    """The history of a run that may be training right now: a torn last line is left out, and left alone."""
    path = run / LOG
    if not path.is_file():
        raise UserError(f"{path}: no such file; expected the folder of a `trimpi train` run")
    data = path.read_bytes()
    decoder, lines = msgspec.json.Decoder(Line), []
    for number, text in enumerate(data[: data.rfind(b"\n") + 1].splitlines(), 1):
        try:
            lines.append(decoder.decode(text))
        except DECODE_ERRORS as error:
            raise UserError(f"{path}, line {number}: {error}") from error
    return history(lines)
