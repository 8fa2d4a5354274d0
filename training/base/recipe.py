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
    """Weights of tasks (training.base.tasks); empty: seeing alone (training.base.sight)."""
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
    Stage(
        "captions",
        0.18,
        {"list": 32, "exists": 4, "count": 3, "crops": 8, "match": 10, "quote-1": 6, "quote-2": 8}
        | {"recite-2": 15, "read-1": 14},
        {"list": 0.8, "recite-2": 0.9},
        ("exists", "count", "crops", "match", "quote-1", "quote-2", "read-1"),
        rate=0.6,
    ),
    Stage(
        "policies-1",
        0.2,
        {"list": 10, "exists": 4, "count": 2, "crops": 2, "match": 10, "questions": 8, "quote-2": 10}
        | {"recite-2": 20, "recall-2": 2, "read-1": 8, "read-2": 10, "follow-1": 10, "visual-1": 4},
        {"follow-1": 0.9, "recite-2": 0.9},
        ("list", "questions", "quote-2", "read-1", "read-2", "recall-2", "visual-1"),
        rate=0.4,
    ),
    Stage(
        "policies-2",
        0.2,
        {"list": 8, "exists": 4, "count": 4, "crops": 2, "questions": 4, "quote-3": 3, "recite-3": 8}
        | {"recite-visual-2": 6, "recall-2": 2, "recall-3": 2, "recall-visual-2": 1, "read-2": 10}
        | {"read-3": 3, "follow-1": 8, "follow-2": 24, "visual-1": 4, "visual-2": 6},
        {"follow-2": 0.9, "visual-2": 0.8, "recite-3": 0.85},
        ("list", "exists", "count", "recall-2", "read-2", "follow-1", "visual-1", "recite-visual-2"),
        rate=0.4,
        sight_rate=0.03,
    ),
    Stage(
        "policies-3",
        1.0,
        {"list": 8, "exists": 4, "count": 4, "crops": 2, "questions": 4, "recite-3": 6}
        | {"recite-visual-2": 4, "recall-2": 2, "recall-3": 2, "recall-4": 1, "recall-visual-2": 2}
        | {"read-2": 4, "read-3": 8, "follow-1": 6, "follow-2": 18, "follow-3": 15, "visual-1": 3}
        | {"visual-2": 12},
        watched=("list", "exists", "count", "recall-2", "follow-1", "follow-2", "follow-3", "visual-2"),
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
    """cpu: one core, 100 minutes. gpu: one large GPU, 20 minutes."""
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
        return 60 * (self.minutes or {"cpu": 100, "gpu": 20}[self.preset])

    @property
    def rows(self) -> int:
        """Examples a step."""
        return {"cpu": 32, "gpu": 512}[self.preset]
