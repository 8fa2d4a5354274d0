"""What is seen of a stage while it trains: a line of RUN/log.jsonl for each logged step, and a bar."""

from __future__ import annotations

import math
import sys
import time
from collections.abc import Callable, Mapping
from numbers import Real
from pathlib import Path
from typing import Any, TextIO

from tqdm import tqdm
from transformers import PrinterCallback, ProgressCallback, TrainerCallback

from harness.files import store
from training.curves.history import LOG, Line, Values, history

SHOWN = ("reward/policy_free", "reward", "loss")
"""What the bar shows, the first that has been logged; rewards are not at every step."""
CALM = 30.0
"""Seconds between two lines of progress where there is no terminal to draw a bar on."""


def watch(trainer: Any, run: Path, stage: str) -> None:
    """Logs to the run's folder, in place of transformers' own bar and printing of dictionaries."""
    for callback in (ProgressCallback, PrinterCallback):
        trainer.remove_callback(callback)
    trainer.add_callback(Log(run, stage))


class Log(TrainerCallback):  # type: ignore[misc]
    """On the main process; the others are silent.

    Give the Trainer `logging_nan_inf_filter=False`, or it hides a loss that is no number behind older ones.
    """

    def __init__(self, run: Path, stage: str) -> None:
        self.stage = stage
        self._lines = store.Log(run / LOG, Line)
        self._began = 0.0
        """When the stage would have begun, had it been one sitting; by the monotonic clock."""
        self._bar: Bar | None = None

    def on_train_begin(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        if not state.is_world_process_zero:
            return
        before = history(self._lines.read()).get(self.stage)
        earlier = before.seconds if before and state.global_step else 0.0
        self._began = time.monotonic() - earlier
        self._lines.append([Line(self.stage, resumed=state.global_step)])
        self._bar = Bar(self.stage, state.global_step, state.max_steps)

    def on_step_end(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        if self._bar is not None:
            self._bar.update(state.global_step - self._bar.n)

    def on_log(
        self, _args: Any, state: Any, _control: Any, logs: Mapping[str, Any] | None = None, **_: Any
    ) -> None:
        if self._bar is None or not logs:
            return
        values, seconds = finite(logs), round(time.monotonic() - self._began, 3)
        self._lines.append([Line(self.stage, state.global_step, state.max_steps, seconds, values)])
        self._bar.show(values)

    def on_train_end(self, _args: Any, _state: Any, _control: Any, **_: Any) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def finite(logs: Mapping[str, Any]) -> Values:
    """The numbers among what a Trainer logs; None where TRL has no value or no finite one."""
    return {
        name: float(value) if value is not None and math.isfinite(value) else None
        for name, value in logs.items()
        if value is None or isinstance(value, Real)
    }


class Bar(tqdm):  # type: ignore[misc]
    """A stage's progress; where it is no terminal that reads it, a line now and then."""

    def __init__(self, stage: str, done: int, of: int) -> None:
        self.latest: Values = {}
        pause = {} if sys.stderr.isatty() else {"mininterval": CALM, "maxinterval": CALM}
        super().__init__(desc=stage, initial=done, total=of, unit="step", dynamic_ncols=True, **pause)

    def show(self, values: Values) -> None:
        self.latest |= {name: value for name, value in values.items() if value is not None}
        if name := next((name for name in SHOWN if name in self.latest), None):
            self.set_postfix_str(f"{name} {self.latest[name]:.3g}", refresh=False)

    @staticmethod
    def status_printer(file: TextIO) -> Callable[[str], None]:
        if file.isatty():
            draw: Callable[[str], None] = tqdm.status_printer(file)
            return draw
        return lambda text: print(text.strip(), file=file, flush=True) if text.strip() else None
