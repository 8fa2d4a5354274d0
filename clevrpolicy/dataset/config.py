"""The configuration of a benchmark: the flags of the command that generates it, stored in the manifest."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import msgspec

from clevrpolicy.policy.tree import DEPTHS
from harness.errors import UserError

# Why the range of a field depends on another field.
REASONS = {
    "max_objects": "; questions need scenes with 4 different objects, and no fewer than --min-objects",
    "height": "; CLEVR's camera needs a height of at most the --width",
}

# The highest answer to a question of clevr-skills that asks how many objects there are.
MAX_COUNT = 4


def check_ranges(config: object, ranges: Iterable[tuple[str, int, int]]) -> None:
    """Raises UserError for the first field outside its range: (name, minimum, maximum)."""
    for name, minimum, maximum in ranges:
        value = getattr(config, name)
        if not minimum <= value <= maximum:
            raise UserError(f"{name}: expected {minimum}..{maximum}, got {value}{REASONS.get(name, '')}")


@dataclass(frozen=True)
class Config:
    """A benchmark's complexity, size and presentation."""

    depth: int = 2
    """Layers of conditions, N: 1..8 (2, 4 and 6 in the paper). They give 2, 4, 8, 16, 28, 40, 52 and 64
    responses; chance is 2.5 % at 6. At 1, override always expects the other one of the two responses."""
    policies: int = 10
    """Number of policies, each with three others that override it."""
    train: int = 2000
    """Training instances per policy."""
    test: int = 200
    """Test instances per policy."""
    scenes: Literal["pictures", "words"] = "pictures"
    """words: describe each scene in a sentence instead of showing it, for language models. Scenes, policies
    and answers are the same."""
    visual: bool = False
    """ClevrPolicy-M: show attribute values as pictures in the policy."""
    crop_share: float = 0.5
    """With --visual: share of the conditions whose value is shown as a picture."""
    accumulate: bool = True
    """After a condition that holds, the next conditions consider only the objects that met it."""
    shuffle: bool = True
    """List the policy's sections in random order."""
    balance: Literal["leaf", "natural"] = "leaf"
    """leaf: each response of a policy equally often; natural: as often as in random scenes (as the paper)."""
    seed: int = 0
    """Benchmarks with different seeds share neither policies nor scenes."""

    def __post_init__(self) -> None:
        check_ranges(self, self.ranges())
        if not 0 < self.crop_share <= 1:
            raise UserError(f"crop_share: expected above 0 and at most 1, got {self.crop_share}")
        if not self.visual and self.crop_share != Config.crop_share:
            raise UserError("crop_share: expected only with --visual, got it alone")

    def settings(self) -> dict[str, Any]:
        """As in a manifest. Pictures are not named, so that their digests are those of earlier versions."""
        settings: dict[str, Any] = msgspec.to_builtins(self)
        if self.scenes == "pictures":
            del settings["scenes"]
        return settings

    def ranges(self) -> list[tuple[str, int, int]]:
        return [
            ("depth", DEPTHS[0], DEPTHS[-1]),
            ("policies", 1, 10_000),
            ("train", 0, 10**6),
            ("test", 1, 10**6),
        ]


@dataclass(frozen=True)
class SceneConfig(Config):
    """Adds how to generate the scenes."""

    min_objects: int = 3
    """Fewest objects in a scene."""
    max_objects: int = 10
    """Most objects in a scene: 4 to 10."""
    width: int = 480
    """Width of a scene's picture in pixels. The pictures in a policy (-M) always have the scale of 480 x 320.
    Sizes in pixels cannot be compared between them and scenes of another width."""
    height: int = 320
    """Height of a scene's picture in pixels, at most its width."""

    def ranges(self) -> list[tuple[str, int, int]]:
        # A scene may need four different objects to reach a leaf. CLEVR's camera requires width >= height.
        objects = [("min_objects", 2, 10), ("max_objects", max(4, self.min_objects), 10)]
        return [*super().ranges(), *objects, ("width", 64, 4096), ("height", 64, self.width)]


@dataclass(frozen=True)
class SkillsConfig:
    """clevr-skills: number, size and contents of the scenes."""

    scenes: int = 200
    """Scenes of the test split; each has three questions."""
    train: int = 50
    """Scenes of the training split, which determines the majority answers."""
    min_objects: int = 3
    """Fewest objects in a scene."""
    max_objects: int = 10
    """Most objects in a scene."""
    width: int = 480
    """Width of the pictures in pixels."""
    height: int = 320
    """Height of the pictures in pixels, at most their width."""
    seed: int = 0
    """Benchmarks with different seeds share no scenes."""

    def __post_init__(self) -> None:
        ranges = [("scenes", 1, 10**6), ("train", 0, 10**6), ("min_objects", 1, 10)]
        ranges += [("max_objects", max(MAX_COUNT, self.min_objects), 10)]
        check_ranges(self, [*ranges, ("width", 64, 4096), ("height", 64, self.width)])
