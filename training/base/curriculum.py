"""The curriculum of the base model: what is taught when, and when it is known well enough to go on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

from harness.errors import UserError


@dataclass(frozen=True)
class Stage:
    """A mix of tasks, taught until all gates hold or the time is over; what is known already stays in it."""

    name: str
    share: float
    """Of all minutes, at most; the last stage has what is left."""
    mix: Mapping[str, float] = field(default_factory=dict)
    """Weights of tasks (training.base.data.tasks); empty: seeing alone (training.base.vision_pretraining)."""
    gates: Mapping[str, float] = field(default_factory=dict)
    """Accuracies of generated answers on scenes and policies never seen."""
    watched: tuple[str, ...] = ()
    """Tasks measured besides those of the gates."""
    rate: float = 1.0
    """Of the highest learning rates; from there down to a twentieth of it while the stage lasts."""
    sight_rate: float = 0.0
    """The same for the vision tower, which a decoder that knows nothing yet would spoil: a share of 0 leaves
    it as it is, which is also faster."""


CURRICULUM = (
    Stage("sight", 0.14, sight_rate=1.0),
    Stage("reciting", 0.06, {"recite-2": 1}, {"recite-2": 0.95}, rate=0.6),
    Stage(
        "reading",
        0.1,
        {"match": 10, "questions": 15, "recite-2": 5, "recite-3": 20, "read-1": 10, "read-2": 25}
        | {"read-3": 15},
        {"recite-3": 0.95, "read-2": 0.95},
        ("match", "questions", "recite-2", "read-1", "read-3"),
        rate=0.6,
    ),
    Stage(
        "captions",
        0.15,
        {"list": 40, "exists": 4, "count": 4, "crops": 8, "questions": 5, "recite-3": 8}
        | {"read-2": 10, "read-3": 6, "follow-1": 15},
        {"list": 0.85, "follow-1": 0.95},
        ("exists", "count", "crops", "questions", "recite-3", "read-2", "read-3"),
        rate=0.5,
    ),
    Stage(
        "policies-2",
        0.2,
        {"list": 12, "exists": 4, "count": 4, "crops": 2, "questions": 4, "recite-3": 6}
        | {"recite-visual-2": 6, "recall-2": 2, "recall-3": 2, "recall-visual-2": 1, "read-2": 6}
        | {"read-3": 10, "follow-1": 6, "follow-2": 20, "visual-1": 6, "visual-2": 9},
        {"follow-2": 0.95, "visual-2": 0.9, "recite-3": 0.9},
        ("list", "exists", "count", "recall-2", "read-3", "follow-1", "visual-1", "recite-visual-2"),
        rate=0.4,
        sight_rate=0.03,
    ),
    Stage(
        "reciting-4",
        0.1,
        {"recite-3": 20, "recite-4": 50, "read-4": 10, "follow-3": 10, "visual-2": 5, "visual-3": 5},
        {"recite-4": 0.9},
        ("recite-3",),
        rate=0.5,
    ),
    Stage(
        "policies-4",
        1.0,
        {"list": 10, "exists": 4, "count": 4, "crops": 2, "questions": 2, "recite-3": 3, "recite-4": 5}
        | {"recite-visual-2": 3, "recall-2": 2, "recall-3": 2, "recall-4": 1, "recall-visual-2": 2}
        | {"read-3": 5, "read-4": 8, "follow-1": 4, "follow-2": 8, "follow-3": 12, "follow-4": 14}
        | {"visual-1": 3, "visual-2": 8, "visual-3": 6},
        watched=(
            "list",
            "exists",
            "recite-4",
            *(f"follow-{n}" for n in (1, 2, 3, 4)),
            "visual-2",
            "visual-3",
        ),
        rate=0.4,
        sight_rate=0.03,
    ),
)


FEWEST_SCENES = 600
"""500 of them only measure."""


@dataclass(frozen=True)
class BaseConfig:
    """How long the base is trained, and on what."""

    preset: Literal["cpu", "gpu"] = "cpu"
    """cpu: one core, 115 minutes. gpu: one large GPU, 20 minutes."""
    seed: int = 0
    minutes: float | None = None
    """Of training, pictures not counted; None: as the preset has it."""
    scenes: int = 10_000
    """Pictures drawn before; 500 of them only measure."""
    crops: int = 8
    """Pictures of each of the 96 kinds of object, for policies of -M."""
    workers: int = 2
    """Processes that draw pictures, and on a GPU make batches."""

    def __post_init__(self) -> None:
        for name, least in (("scenes", FEWEST_SCENES), ("crops", 1), ("workers", 1)):
            if getattr(self, name) < least:
                raise UserError(f"{name}: expected {least} or more, got {getattr(self, name)}")
        if self.minutes is not None and self.minutes <= 0:
            raise UserError(f"minutes: expected more than 0, got {self.minutes}")

    @property
    def seconds(self) -> float:
        return 60 * (self.minutes or {"cpu": 115, "gpu": 20}[self.preset])

    @property
    def rows(self) -> int:
        """Examples a step."""
        return {"cpu": 32, "gpu": 512}[self.preset]
