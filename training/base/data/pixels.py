"""Pictures as input of the vision tower: Qwen2.5-VL's image processor for many pictures at once.

All pictures of the pool are kept on the training device. A batch only contains indices and augmentations:
mirroring, small shifts, and changes of contrast and brightness, which add variety to a small pool.
"""

import random
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from training.base.data.examples import Picture
from training.base.data.image_pool import ImagePool
from training.base.model.checkpoint import FRAMES, MERGE, PATCH

# Normalization of the color channels by the processor, the same as in CLIP.
MEAN, STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
# Largest shift along each axis in pixels, and largest relative change of contrast and of brightness.
MAX_SHIFT, MAX_GAIN = 6, 0.1


@dataclass
class PictureBatch:
    """P pictures and their augmentations, as small tensors that are fast to pass between processes."""

    is_scene: torch.Tensor  # (P,), False for a crop
    index: torch.Tensor  # (P,), into the pool's scenes or crops
    mirrored: torch.Tensor  # (P,), left to right, before the shift
    shifts: torch.Tensor  # (P, 2), pixels to the right and down
    gains: torch.Tensor  # (P, 2), relative changes of contrast and brightness


def picture_batch(pictures: Sequence[Picture], rng: random.Random | None) -> PictureBatch:
    """A batch of these pictures, shifted and lit randomly if a generator is given."""
    shifts = [[rng.randint(-MAX_SHIFT, MAX_SHIFT) if rng else 0 for _ in range(2)] for _ in pictures]
    gains = [[rng.uniform(-MAX_GAIN, MAX_GAIN) if rng else 0.0 for _ in range(2)] for _ in pictures]
    return PictureBatch(
        torch.tensor([picture.kind == "scene" for picture in pictures]),
        torch.tensor([picture.index for picture in pictures]),
        torch.tensor([picture.mirrored for picture in pictures]),
        torch.tensor(shifts),
        torch.tensor(gains),
    )


class DevicePool:
    """The pictures of an image pool on a device."""

    def __init__(self, pool: ImagePool, device: torch.device) -> None:
        self.device = device
        self.scenes = torch.from_numpy(pool.scenes).to(device)
        self.crops = torch.from_numpy(pool.crops).to(device)

    def patches(self, batch: PictureBatch) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the patches of all pictures, (patches, 1176), and the pictures' grids, (P, 3).

        A grid is the number of frames, rows and columns of patches, as Qwen2.5-VL expects it.
        """
        parts: list[torch.Tensor] = [torch.empty(0)] * len(batch.index)
        grids = torch.empty(len(batch.index), 3, dtype=torch.long)
        # Scenes and crops have different sizes: each kind is processed at once, then the order is restored.
        for source, chosen in ((self.scenes, batch.is_scene), (self.crops, ~batch.is_scene)):
            positions = chosen.nonzero().squeeze(1).tolist()
            if positions:
                patches, kind_grids = to_patches(self._augment(source, batch, chosen))
                for position, part in zip(positions, patches.chunk(len(positions)), strict=True):
                    parts[position], grids[position] = part, kind_grids[0]
        return torch.cat(parts), grids.to(self.device)

    def _augment(self, source: torch.Tensor, batch: PictureBatch, chosen: torch.Tensor) -> torch.Tensor:
        """The chosen pictures, (B, H, W, 3). A shift repeats the edge of the picture."""
        index, mirrored, shifts, gains = (
            values[chosen].to(self.device)
            for values in (batch.index, batch.mirrored, batch.shifts, batch.gains)
        )
        _, height, width, _ = source.shape
        # (B, H) and (B, W): the row and the column of the source for each row and column of the result.
        rows = (torch.arange(height, device=self.device)[None] - shifts[:, 1:]).clamp(0, height - 1)
        columns = (torch.arange(width, device=self.device)[None] - shifts[:, :1]).clamp(0, width - 1)
        columns = torch.where(mirrored[:, None], width - 1 - columns, columns)
        pictures = source[index[:, None, None], rows[:, :, None], columns[:, None, :]].float()
        contrast, brightness = (1 + gains).view(-1, 2, 1, 1, 1).unbind(1)
        return ((pictures - 128) * contrast + 128 * brightness).clamp(0, 255)


def to_patches(pictures: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cut pictures (B, H, W, 3) with values 0..255 into patches.

    Returns the patches, (B * H/14 * W/14, 3 * 2 * 14 * 14), and the grids, (B, 3). The 2 x 2 patches that
    become one image token are adjacent.
    """
    batch, height, width, _ = pictures.shape
    mean, std = (torch.tensor(values, device=pictures.device) for values in (MEAN, STD))
    scaled = ((pictures.float() / 255 - mean) / std).permute(0, 3, 1, 2)
    rows, columns = height // PATCH, width // PATCH
    blocks = scaled.reshape(batch, 3, rows // MERGE, MERGE, PATCH, columns // MERGE, MERGE, PATCH)
    # (B, token row, token column, patch row, patch column, channel, 1, y, x); all frames are the same.
    ordered = blocks.permute(0, 2, 5, 3, 6, 1, 4, 7).unsqueeze(6)
    flat = ordered.expand(-1, -1, -1, -1, -1, -1, FRAMES, -1, -1).reshape(batch * rows * columns, -1)
    return flat, torch.tensor([[1, rows, columns]] * batch)
