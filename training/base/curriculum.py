"""The curriculum of the base model: what each stage trains on, and when it ends.

    train for some minutes --> evaluate on unseen scenes and policies --> all gates reached
              ^                                                           or time is up?
              |                                                           no |      | yes
              +--------------------------------------------------------------+      +--> next stage

A gate is an accuracy that a task must reach. The last stage gets the time that earlier stages did not need.
The mix of a stage includes tasks of earlier stages, so that they are not forgotten.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.errors import UserError


@dataclass(frozen=True)
class CurriculumStage:
    """A mix of tasks (training.base.data.tasks), trained until all gates are reached or time is up."""

    name: str
    # Maximum time, as a share of the training time. The last stage has 1: all remaining time.
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


CURRICULUM = (
    CurriculumStage("sight", 0.14, vision_rate=1.0),
    CurriculumStage("reciting", 0.06, {"recite-2": 1}, {"recite-2": 0.95}, rate=0.6),
    CurriculumStage(
        "reading",
        0.1,
        {"match": 10, "questions": 15, "recite-2": 5, "recite-3": 20, "read-1": 10, "read-2": 25}
        | {"read-3": 15},
        {"recite-3": 0.95, "read-2": 0.95},
        ("match", "questions", "recite-2", "read-1", "read-3"),
        rate=0.6,
    ),
    CurriculumStage(
        "captions",
        0.15,
        {"list": 40, "exists": 4, "count": 4, "crops": 8, "questions": 5, "recite-3": 8}
        | {"read-2": 10, "read-3": 6, "follow-1": 15},
        {"list": 0.85, "follow-1": 0.95},
        ("exists", "count", "crops", "questions", "recite-3", "read-2", "read-3"),
        rate=0.5,
    ),
    CurriculumStage(
        "policies-2",
        0.2,
        {"list": 12, "exists": 4, "count": 4, "crops": 2, "questions": 4, "recite-3": 6}
        | {"recite-visual-2": 6, "recall-2": 2, "recall-3": 2, "recall-visual-2": 1, "read-2": 6}
        | {"read-3": 10, "follow-1": 6, "follow-2": 20, "visual-1": 6, "visual-2": 9},
        {"follow-2": 0.95, "visual-2": 0.9, "recite-3": 0.9},
        ("list", "exists", "count", "recall-2", "read-3", "follow-1", "visual-1", "recite-visual-2"),
        rate=0.4,
        vision_rate=0.03,
    ),
    CurriculumStage(
        "reciting-4",
        0.1,
        {"recite-3": 20, "recite-4": 50, "read-4": 10, "follow-3": 10, "visual-2": 5, "visual-3": 5},
        {"recite-4": 0.9},
        ("recite-3",),
        rate=0.5,
    ),
    CurriculumStage(
        "policies-4",
        1.0,
        {"list": 10, "exists": 4, "count": 4, "crops": 2, "questions": 2, "recite-3": 3, "recite-4": 5}
        | {"recite-visual-2": 3, "recall-2": 2, "recall-3": 2, "recall-4": 1, "recall-visual-2": 2}
        | {"read-3": 5, "read-4": 8, "follow-1": 4, "follow-2": 8, "follow-3": 12, "follow-4": 14}
        | {"visual-1": 3, "visual-2": 8, "visual-3": 6},
        watched=("list", "exists", "recite-4", *(f"follow-{n}" for n in range(1, 5)), "visual-2", "visual-3"),
        rate=0.4,
        vision_rate=0.03,
    ),
)

# Scenes of the pool that are used for evaluation only.
HELD_OUT_SCENES = 500
MIN_SCENES = HELD_OUT_SCENES + 100


@dataclass(frozen=True)
class BaseConfig:
    """How long to train the base model, and on which pictures."""

    preset: Literal["cpu", "gpu"] = "cpu"
    """cpu: one core, 115 minutes. gpu: one large GPU, 20 minutes."""
    seed: int = 0
    """Seed of the pictures, the initial weights and the examples."""
    minutes: float | None = None
    """Training time, without rendering the pictures. By default the preset's."""
    scenes: int = 10_000
    """Number of scenes to render; 500 of them are used for evaluation only."""
    crops: int = 8
    """Number of pictures of each of the 96 kinds of object, for policies with pictures."""
    workers: int = 2
    """Processes that render pictures and, on a GPU, prepare batches."""

    def __post_init__(self) -> None:
        for name, least in (("scenes", MIN_SCENES), ("crops", 1), ("workers", 1)):
            if getattr(self, name) < least:
                raise UserError(f"--{name}: expected {least} or more, got {getattr(self, name)}")
        if self.minutes is not None and self.minutes <= 0:
            raise UserError(f"minutes: expected more than 0, got {self.minutes}")

    @property
    def seconds(self) -> float:
        """Training time."""
        return 60 * (self.minutes or {"cpu": 115, "gpu": 20}[self.preset])

    @property
    def rows(self) -> int:
        """Number of examples in a training step."""
        return {"cpu": 32, "gpu": 512}[self.preset]
