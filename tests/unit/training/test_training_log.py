"""What a Trainer leaves in a run's log and on the terminal, when it is killed and goes on too."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("accelerate")
from transformers import Trainer, TrainerCallback, TrainingArguments  # noqa: E402

from harness.files import store  # noqa: E402
from training.curves.history import LOG, Line, read  # noqa: E402
from training.curves.log import Log, finite, watch  # noqa: E402

STAGE, STEPS = "cot-sft", 6


class Slope(torch.nn.Module):  # type: ignore[misc,name-defined]
    """y = wx; its loss is no number at the calls in `bad`."""

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
    """Ends training as suddenly as a kill, when a step has been logged."""

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
    trainer = Trainer(model=Slope(bad), args=settings, train_dataset=rows)
    watch(trainer, run, STAGE)
    if kill:
        trainer.add_callback(Kill(kill))
    trainer.train(resume_from_checkpoint=resume and str(run / "work" / resume))
    return trainer


def test_every_logged_step_is_a_line_and_the_terminal_shows_progress(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    trainer = train(tmp_path)
    found = read(tmp_path)
    assert list(found) == [STAGE]
    assert found[STAGE].of == STEPS
    logged = {
        entry["step"]: entry["loss"] for entry in trainer.state.log_history if entry.get("loss") is not None
    }
    assert list(logged) == list(range(1, STEPS + 1))
    assert {step: values.get("loss") for step, values in found[STAGE].steps.items()} == logged
    assert found[STAGE].steps[1]["learning_rate"] == trainer.args.learning_rate
    # What the Trainer sums up at the end stands beside the last step's own values.
    assert {"loss", "train_runtime"} <= found[STAGE].steps[STEPS].keys()
    out, err = capfd.readouterr()
    assert "learning_rate" not in out + err, "transformers prints its dictionaries"
    assert "loss" in err and f"{STEPS}/{STEPS}" in err
    assert "\r" not in err, "no terminal reads this: whole lines"


def test_what_a_kill_undid_is_dropped(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(tmp_path, kill=5)
    killed = read(tmp_path)[STAGE]
    assert list(killed.steps) == [1, 2, 3, 4, 5]
    store.Log(tmp_path / LOG, Line).append([Line(STAGE, 5, STEPS, 1000.0, killed.steps[5])])
    with (tmp_path / LOG).open("ab") as file:
        file.write(b'{"stage":"cot-s')
    assert read(tmp_path)[STAGE].steps == killed.steps, "a torn line is no line"
    train(tmp_path, resume="checkpoint-4")
    lines = store.read_lines(tmp_path / LOG, Line)
    assert [line.resumed for line in lines if line.resumed is not None] == [0, 4]
    whole = read(tmp_path)[STAGE]
    assert list(whole.steps) == [1, 2, 3, 4, 5, 6]
    assert [whole.steps[step] for step in (1, 2, 3, 4)] == [killed.steps[step] for step in (1, 2, 3, 4)]
    assert 1000 <= whole.seconds < 2000, "sittings are summed up"


def test_a_stage_begun_anew_forgets_what_it_was(tmp_path: Path) -> None:
    with pytest.raises(Killed):
        train(tmp_path, kill=5)
    with pytest.raises(Killed):
        train(tmp_path, kill=2)
    assert list(read(tmp_path)[STAGE].steps) == [1, 2]


def test_no_number_is_null(tmp_path: Path) -> None:
    train(tmp_path, bad=(3,))
    losses = {step: values["loss"] for step, values in read(tmp_path)[STAGE].steps.items()}
    assert [step for step, loss in losses.items() if loss is None] == [3, 4, 5, 6]
    assert "NaN" not in (tmp_path / LOG).read_text()


def test_what_is_a_value() -> None:
    logs = {"loss": 1, "kl": float("inf"), "reward": None, "rate": torch.tensor(0.5).numpy()[()], "note": "x"}
    assert finite(logs) == {"loss": 1.0, "kl": None, "reward": None, "rate": 0.5}


def test_other_processes_are_silent(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    log = Log(tmp_path, STAGE)
    state = SimpleNamespace(is_world_process_zero=False, global_step=0, max_steps=2)
    log.on_train_begin(None, state, None)
    log.on_step_end(None, state, None)
    log.on_log(None, state, None, logs={"loss": 1.0})
    log.on_train_end(None, state, None)
    assert list(tmp_path.iterdir()) == []
    assert capfd.readouterr() == ("", "")
