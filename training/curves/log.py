"""Output of a stage while it trains: an entry of RUN/log.jsonl per logged step, and a progress bar."""

import math
import time
from collections.abc import Mapping
from numbers import Real
from pathlib import Path
from typing import Any

from transformers import PrinterCallback, ProgressCallback, TrainerCallback

from harness.files import store
from harness.progress import Bar
from training.curves.history import LOG, LogEntry, MetricValues, build_history

# The bar shows the first of these that has been logged. Rewards are not logged at every step.
BAR_METRICS = ("reward/policy_free", "reward", "loss")


def log_to_run(trainer: Any, run: Path, stage: str) -> None:
    """Logs to the run's folder and shows a bar, instead of the bar and the dictionaries of transformers."""
    for callback in (ProgressCallback, PrinterCallback):
        trainer.remove_callback(callback)
    trainer.add_callback(RunLogger(run, stage))


class RunLogger(TrainerCallback):  # type: ignore[misc]
    """Logs on the main process only.

    The Trainer needs `logging_nan_inf_filter=False`; otherwise it reports older values in place of a loss
    that is not finite.
    """

    def __init__(self, run: Path, stage: str) -> None:
        self.stage = stage
        self._entries = store.Log(run / LOG, LogEntry)
        # Monotonic time at which the stage would have started if it had run in one session.
        self._started = 0.0
        self._bar: StageBar | None = None

    def on_train_begin(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        if not state.is_world_process_zero:
            return
        previous = build_history(self._entries.read()).get(self.stage)
        elapsed = previous.seconds if previous and state.global_step else 0.0
        self._started = time.monotonic() - elapsed
        self._entries.append([LogEntry(self.stage, resumed=state.global_step)])
        self._bar = StageBar(self.stage, state.global_step, state.max_steps)

    def on_log(
        self, _args: Any, state: Any, _control: Any, logs: Mapping[str, Any] | None = None, **_: Any
    ) -> None:
        if self._bar is None or not logs:
            return
        values, seconds = finite(logs), round(time.monotonic() - self._started, 3)
        self._entries.append([LogEntry(self.stage, state.global_step, state.max_steps, seconds, values)])
        self._bar.show(values, state.global_step)

    def on_train_end(self, _args: Any, _state: Any, _control: Any, **_: Any) -> None:
        if self._bar is not None:
            self._bar.close()
            self._bar = None


def finite(logs: Mapping[str, Any]) -> MetricValues:
    """The numbers that a Trainer logs; None if TRL has no value or one that is not finite."""
    return {
        name: float(value) if value is not None and math.isfinite(value) else None
        for name, value in logs.items()
        if value is None or isinstance(value, Real)
    }


class StageBar(Bar):
    """The updates of a stage, with the latest value of one metric."""

    def __init__(self, stage: str, done: int, total: int) -> None:
        self.latest: MetricValues = {}
        super().__init__(desc=stage, initial=done, total=total, unit="step", dynamic_ncols=True)

    def show(self, values: MetricValues, step: int) -> None:
        self.latest |= {name: value for name, value in values.items() if value is not None}
        if name := next((name for name in BAR_METRICS if name in self.latest), None):
            self.set_postfix_str(f"{name} {self.latest[name]:.3g}", refresh=False)
        self.update(step - self.n)
