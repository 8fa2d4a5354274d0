"""Pictures as the vision tower takes them: what Qwen2.5-VL's image processor does, for many at once.

The whole pool lies on the device that trains; a batch only says which of its pictures it shows, and how each
is changed a little, so that few thousand pictures go a long way.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from training.base.data.examples import Picture
from training.base.data.image_pool import Pool
from training.base.model.checkpoint import FRAMES, MERGE, PATCH

MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
"""Of the processor: those of CLIP."""

SHIFT = 6
"""Pixels by which a picture is moved at most along each axis, to learn from."""

GAIN = 0.1
"""By how much of its contrast and of its brightness a picture is changed at most."""


@dataclass
class Shots:
    """Which pictures are shown; plain tensors, which travel cheaply between processes."""

    scene: torch.Tensor
    """(P,) whether it is a scene, else a crop."""
    index: torch.Tensor
    """(P,)"""
    mirrored: torch.Tensor
    """(P,)"""
    moves: torch.Tensor
    """(P, 2) columns and rows by which it is moved."""
    light: torch.Tensor
    """(P, 2) changes of contrast and brightness; 0 is none."""


def shots(pictures: Sequence[Picture], draw: random.Random | None) -> Shots:
    """With a generator the pictures are changed a little, without they are as they are."""
    few = range(2)
    moves = [[draw.randint(-SHIFT, SHIFT) if draw else 0 for _ in few] for _ in pictures]
    light = [[draw.uniform(-GAIN, GAIN) if draw else 0.0 for _ in few] for _ in pictures]
    return Shots(
        torch.tensor([picture.kind == "scene" for picture in pictures]),
        torch.tensor([picture.index for picture in pictures]),
        torch.tensor([picture.mirrored for picture in pictures]),
        torch.tensor(moves),
        torch.tensor(light),
    )


class Gallery:
    """The pool's pictures on a device."""

    def __init__(self, pool: Pool, device: torch.device) -> None:
        self.device = device
        self.scenes, self.crops = (torch.from_numpy(a).to(device) for a in (pool.scenes, pool.crops))

    def patches(self, shown: Shots) -> tuple[torch.Tensor, torch.Tensor]:
        """(all patches of all pictures in their order, 1176) and (P, 3) the grids of the pictures."""
        parts: list[torch.Tensor] = [torch.empty(0)] * len(shown.index)
        grids = torch.empty(len(shown.index), 3, dtype=torch.long)
        for source, chosen in ((self.scenes, shown.scene), (self.crops, ~shown.scene)):
            places = chosen.nonzero().squeeze(1).tolist()
            if places:
                flat, of_kind = patches(self._changed(source, shown, chosen))
                for place, part in zip(places, flat.chunk(len(places)), strict=True):
                    parts[place], grids[place] = part, of_kind[0]
        return torch.cat(parts), grids.to(self.device)

    def _changed(self, source: torch.Tensor, shown: Shots, chosen: torch.Tensor) -> torch.Tensor:
        """(B, H, W, 3) of the chosen pictures; what moves in at an edge repeats the edge."""
        index, mirrored, moves, light = (
            values[chosen].to(self.device)
            for values in (shown.index, shown.mirrored, shown.moves, shown.light)
        )
        _, height, width, _ = source.shape
        rows = (torch.arange(height, device=self.device)[None] - moves[:, 1:]).clamp(0, height - 1)
        columns = (torch.arange(width, device=self.device)[None] - moves[:, :1]).clamp(0, width - 1)
        columns = torch.where(mirrored[:, None], width - 1 - columns, columns)
        pictures = source[index[:, None, None], rows[:, :, None], columns[:, None, :]].float()
        contrast, brightness = (1 + light).view(-1, 2, 1, 1, 1).unbind(1)
        return ((pictures - 128) * contrast + 128 * brightness).clamp(0, 255)


def patches(pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """(B, H, W, 3) pictures in 0..255 -> (B * H/14 * W/14, 3 * 2 * 14 * 14) patches and (B, 3) their grids.

    Patches that become one image token stand together.
    """
    batch, height, width, _ = pictures.shape
    mean, std = (torch.tensor(values, device=pictures.device) for values in (MEAN, STD))
    scaled = ((pictures.float() / 255 - mean) / std).permute(0, 3, 1, 2)
    rows, columns = height // PATCH, width // PATCH
    blocks = scaled.reshape(batch, 3, rows // MERGE, MERGE, PATCH, columns // MERGE, MERGE, PATCH)
    ordered = blocks.permute(0, 2, 5, 3, 6, 1, 4, 7).unsqueeze(6)  # the same in each frame
    flat = ordered.expand(-1, -1, -1, -1, -1, -1, FRAMES, -1, -1).reshape(batch * rows * columns, -1)
    return flat, torch.tensor([[1, rows, columns]] * batch)
