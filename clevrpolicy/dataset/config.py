"""What a benchmark is made of: the flags of `clevrpolicy generate`, and the config in its manifest."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from clevrpolicy.policy.tree import check_depth
from harness.errors import UserError


@dataclass(frozen=True)
class Config:
    """A benchmark's complexity, size and presentation."""

    depth: int = 2
    """Layers of conditions, N: 1..8 (the paper has 2, 4 and 6). They lead to 2, 4, 8, 16, 28, 40, 52 and 64
    responses, so that chance at 6 is 2.5 %. At 1 an override always asks for the other of two responses."""
    policies: int = 10
    train: int = 2000
    """Training instances a policy."""
    test: int = 200
    """Test instances a policy."""
    visual: bool = False
    """ClevrPolicy-M: show attribute values as pictures in the policy."""
    crop_share: float = 0.5
    """Share of the conditions whose value is shown as a picture, where visual."""
    accumulate: bool = True
    """A condition that holds narrows the ones after it to the objects that met it."""
    shuffle: bool = True
    """Give the policy's sections in random order."""
    balance: Literal["leaf", "natural"] = "leaf"
    """leaf: each response of a policy equally often; natural: as random scenes have it (the paper)."""
    seed: int = 0
    """Another seed shares nothing with this one."""

    def __post_init__(self) -> None:
        check_depth(self.depth)
        for name, least, most in self.ranges():
            if not least <= getattr(self, name) <= most:
                raise UserError(f"{name}: expected {least}..{most}, got {getattr(self, name)}")
        if not 0 < self.crop_share <= 1:
            raise UserError(f"crop_share: expected above 0 and at most 1, got {self.crop_share}")

    def ranges(self) -> list[tuple[str, int, int]]:
        """Fields with their least and greatest value."""
        return [("policies", 1, 10_000), ("train", 0, 10**6), ("test", 1, 10**6)]


@dataclass(frozen=True)
class SceneConfig(Config):
    """The same, on scenes of our own."""

    min_objects: int = 3
    max_objects: int = 10
    width: int = 480
    """Of the scenes' pictures, in pixels. In -M the pictures in a policy keep the scale of 480 x 320: where
    scenes are smaller, an object's size in pixels cannot be compared with theirs."""
    height: int = 320

    def ranges(self) -> list[tuple[str, int, int]]:
        # Reaching a leaf can take four different objects; a picture is wider than tall, as CLEVR's camera is.
        objects = [("min_objects", 2, 10), ("max_objects", max(4, self.min_objects), 10)]
        return [*super().ranges(), *objects, ("width", 64, 4096), ("height", 64, self.width)]
