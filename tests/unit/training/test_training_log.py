"""The log and the terminal output of a Trainer, also when it is killed and resumed."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from transformers import Trainer, TrainerCallback, TrainingArguments

from harness.files import store
from training.curves.history import LOG, LogEntry, read_history
from training.curves.log import RunLogger, finite, log_to_run

STAGE, STEPS = "cot-sft", 6


class LinearModel(torch.nn.Module):
    """y = wx. Its loss is not a number at the calls in `bad`."""

    def __init__(self, bad: tuple[int, ...]) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1))
        self.bad, self.calls = bad, 0

    def forward(self, x: Any, labels: Any) -> dict[str, Any]:
        self.calls += 1
        loss = ((self.weight * x - labels) ** 2).mean()
        return {"loss": loss * float("nan") if self.calls in self.bad else loss}


class Killed(Exception):
    pass


class Kill(TrainerCallback):  # type: ignore[misc]
    """Ends training abruptly, like a kill, after a step has been logged."""

    def __init__(self, step: int) -> None:
        self.step = step

    def on_log(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:
        if state.global_step == self.step:
            raise Killed


def train(run: Path, *, kill: int = 0, resume: str | None = None, bad: tuple[int, ...] = ()) -> Any:
    settings = TrainingArguments(
        output_dir=str(run / "work"),
        max_steps=STEPS,
        per_device_train_batch_size=1,
        logging_steps=1,
        save_steps=2,
        report_to=[],
        use_cpu=True,
        logging_nan_inf_filter=False,
    )
    rows = [{"x": torch.tensor([float(1 + i)]), "labels": torch.tensor([2.0])} for i in range(STEPS)]
    trainer = Trainer(model=LinearModel(bad), args=settings, train_dataset=rows)
    log_to_run(trainer, run, STAGE)
    if kill:
        trainer.add_callback(Kill(kill))
    trainer.train(resume_from_checkpoint=resume and str(run / "work" / resume))
    return trainer


def test_every_logged_step_has_an_entry_and_the_terminal_shows_progress(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    trainer = train(tmp_path)
    history = read_history(tmp_path)
    assert list(history) == [STAGE]
    stage = history[STAGE]
    assert stage.total_steps == STEPS
    entries = trainer.state.log_history
    logged = {entry["step"]: entry["loss"] for entry in entries if entry.get("loss") is not None}
    assert list(logged) == list(range(1, STEPS + 1))
    assert {step: values.get("loss") for step, values in stage.steps.items()} == logged
    assert stage.steps[1]["learning_rate"] == trainer.args.learning_rate
    # The summary that the Trainer logs at the end is merged into the last step.
    assert {"loss", "train_runtime"} <= stage.steps[STEPS].keys()
    out, err = capfd.readouterr()
    assert "learning_rate" not in out + err, "transformers printed its dictionaries"
    assert "loss" in err and f"{STEPS} of {STEPS}" in err
    assert "\r" not in err, "without a terminal the output is complete lines"


def test_steps_that_are_repeated_after_a_kill_are_dropped(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(tmp_path, kill=5)
    killed = read_history(tmp_path)[STAGE]
    assert list(killed.steps) == [1, 2, 3, 4, 5]
    store.Log(tmp_path / LOG, LogEntry).append([LogEntry(STAGE, 5, STEPS, 1000.0, killed.steps[5])])
    with (tmp_path / LOG).open("ab") as file:
        file.write(b'{"stage":"cot-s')
    assert read_history(tmp_path)[STAGE].steps == killed.steps, "an incomplete line is ignored"
    train(tmp_path, resume="checkpoint-4")
    entries = store.read_lines(tmp_path / LOG, LogEntry)
    assert [entry.resumed for entry in entries if entry.resumed is not None] == [0, 4]
    resumed = read_history(tmp_path)[STAGE]
    assert list(resumed.steps) == [1, 2, 3, 4, 5, 6]
    assert [resumed.steps[step] for step in (1, 2, 3, 4)] == [killed.steps[step] for step in (1, 2, 3, 4)]
    assert 1000 <= resumed.seconds < 2000, "the time of all sessions is summed"


def test_a_restarted_stage_drops_its_history(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(tmp_path, kill=5)
    with pytest.raises(Killed):
        train(tmp_path, kill=2)
    assert list(read_history(tmp_path)[STAGE].steps) == [1, 2]


def test_a_value_that_is_not_finite_is_null(tmp_path: Path) -> None:
    train(tmp_path, bad=(3,))
    losses = {step: values["loss"] for step, values in read_history(tmp_path)[STAGE].steps.items()}
    assert [step for step, loss in losses.items() if loss is None] == [3, 4, 5, 6]
    assert "NaN" not in (tmp_path / LOG).read_text()


def test_finite_keeps_numbers_only() -> None:
    logs = {"loss": 1, "kl": float("inf"), "reward": None, "rate": torch.tensor(0.5).numpy()[()], "note": "x"}
    assert finite(logs) == {"loss": 1.0, "kl": None, "reward": None, "rate": 0.5}


def test_other_processes_are_silent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = RunLogger(tmp_path, STAGE)
    state = SimpleNamespace(is_world_process_zero=False, global_step=0, max_steps=2)
    log.on_train_begin(None, state, None)
    log.on_step_end(None, state, None)
    log.on_log(None, state, None, logs={"loss": 1.0})
    log.on_train_end(None, state, None)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")
