"""The curriculum of the base model: what each stage trains on, and when it ends.

    train for some minutes --> evaluate on unseen scenes and policies --> all gates reached
              ^                                                           or time is up?
              |                                                           no |      | yes
              +--------------------------------------------------------------+      +--> next stage

A gate is an accuracy that a task must reach. Time that a stage does not need is divided among the later ones.
The mix of a stage includes tasks of earlier stages, so that they are not forgotten.

The curriculum can be run in parts: each trains some of the stages, from the checkpoint of the part before.
"""

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib import resources
from pathlib import Path
from typing import Literal

import msgspec

from harness.errors import UserError


@dataclass(frozen=True)
class CurriculumStage:
    """A mix of tasks (training.base.data.tasks), trained until all gates are reached or time is up."""

    name: str
    # Its part of the training time, relative to the other stages.
    share: float
    # Relative frequency of each task. If empty, the stage trains the vision tower only (vision_pretraining).
    mix: Mapping[str, float] = field(default_factory=dict)
    # Accuracy to reach in each of these tasks. A stage without gates uses all of its time.
    gates: Mapping[str, float] = field(default_factory=dict)
    # Other tasks to evaluate and log.
    watched: tuple[str, ...] = ()
    # Initial learning rate as a share of the optimizer's highest rates. It decreases during the stage.
    rate: float = 1.0
    # The same for the vision tower. An untrained decoder would damage it: 0 freezes it, which is also faster.
    vision_rate: float = 0.0


STAGES_FILE = resources.files("training.base") / "curriculum.toml"
CURRICULUM = msgspec.convert(
    tomllib.loads(STAGES_FILE.read_text(encoding="utf-8"))["stages"], tuple[CurriculumStage, ...]
)

# Scenes of the pool that are used for evaluation only.
HELD_OUT_SCENES = 500
MIN_SCENES = HELD_OUT_SCENES + 100


@dataclass(frozen=True)
class BaseConfig:
    """How long to train the base model, and on which pictures."""

    preset: Literal["cpu", "gpu"] = "cpu"
    """cpu: one core, 270 minutes. gpu: one large GPU, 45 minutes."""
    start: Path | None = None
    """Checkpoint to start from, such as the result of an earlier part; random weights by default."""
    stages: tuple[str, ...] = ()
    """Stages to train, as curriculum.toml names them; all by default."""
    seed: int = 0
    """Seed of the pictures, the initial weights and the examples."""
    minutes: float | None = None
    """Training time, without rendering the pictures. By default the preset's."""
    scenes: int = 16_000
    """Number of scenes to render; 500 of them are used for evaluation only."""
    crops: int = 8
    """Number of pictures of each of the 96 kinds of object, for policies with pictures."""
    workers: int = 2
    """Processes that render pictures and, on a GPU, prepare batches."""

    def __post_init__(self) -> None:
        for name, least in (("scenes", MIN_SCENES), ("crops", 1), ("workers", 1)):
            if getattr(self, name) < least:
                raise UserError(f"{name}: expected {least} or more, got {getattr(self, name)}")
        if unknown := set(self.stages) - {stage.name for stage in CURRICULUM}:
            known = ", ".join(stage.name for stage in CURRICULUM)
            raise UserError(f"stages: expected some of {known}, got {', '.join(sorted(unknown))}")
        if self.minutes is not None and self.minutes <= 0:
            raise UserError(f"minutes: expected more than 0, got {self.minutes}")

    @property
    def seconds(self) -> float:
        """Training time."""
        return 60 * (self.minutes or {"cpu": 270, "gpu": 45}[self.preset])

    @property
    def selected(self) -> tuple[CurriculumStage, ...]:
        """The stages to train, in the order of the curriculum."""
        return tuple(stage for stage in CURRICULUM if not self.stages or stage.name in self.stages)

    @property
    def rows(self) -> int:
        """Number of examples in a training step."""
        return {"cpu": 32, "gpu": 512}[self.preset]
