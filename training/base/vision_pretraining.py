"""First stage: the vision tower learns which objects are in each cell of a picture, before any text.

A cell is the area of one image token, 28 x 28 pixels; a scene has 6 x 4 cells. The centers of two objects may
be in one cell, so a cell has two slots, the left object first; a third object is ignored. The label of a slot
is an object's kind and its turn: the number of objects further left. Example with three objects:

    +----+----+----+----+----+----+
    |    |    |    |    |    |    |     cell        slot 0       slot 1
    +----+----+----+----+----+----+     (1, 1)      A, turn 0    B, turn 1
    |    | AB |    |    | C  |    |     (1, 4)      C, turn 2    empty
    +----+----+----+----+----+----+     all others  empty        empty
    |    |    |    |    |    |    |     (row and column from the top left)

Captions go from left to right. Without the turns this order is hard to see, because attention with rotary
positions only represents distances. A linear head on the image tokens predicts the labels. It is not used
after this stage.
"""

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from clevrpolicy.scene.ontology import ATTRIBUTES, KINDS
from harness import seeds
from training.base.data.examples import Picture
from training.base.data.image_pool import MAX_OBJECTS, SCENE_HEIGHT, SCENE_WIDTH, ImagePool
from training.base.data.pixels import PictureBatch, picture_batch
from training.base.data.samplers import SceneSampler
from training.base.model.checkpoint import TOKEN_SIDE

COLUMNS, ROWS = SCENE_WIDTH // TOKEN_SIDE, SCENE_HEIGHT // TOKEN_SIDE
SLOTS = 2
EMPTY = (-1, -1)
# What the head predicts for an object: its four attributes and its turn, with this many values each.
TARGETS = (*ATTRIBUTES, "turn")
TARGET_SIZES = [*(len(values) for values in ATTRIBUTES.values()), MAX_OBJECTS]
# The index of each attribute's value, for each of the 96 kinds.
KIND_VALUES = [[ATTRIBUTES[name].index(getattr(kind, name)) for name in ATTRIBUTES] for kind in KINDS]


@dataclass
class VisionBatch:
    """B pictures and the labels of their cells."""

    pictures: PictureBatch
    labels: torch.Tensor  # (B, cells, SLOTS, 2), an index into KINDS and a turn, or EMPTY


@dataclass
class CellDataset(Dataset[VisionBatch]):
    """Random scenes of a sampler; item i is step i, which has its own random generator."""

    sampler: SceneSampler
    seed: int
    rows: int
    augment: bool

    def __getitem__(self, step: int) -> VisionBatch:
        rng = seeds.rng(self.seed, "base", "sight", step)
        scenes = rng.choices(range(self.sampler.first, self.sampler.last), k=self.rows)
        pictures = [Picture("scene", scene, rng.random() < 0.5) for scene in scenes]
        batch = picture_batch(pictures, rng if self.augment else None)
        labels = [
            cell_labels(self.sampler.pool, picture, shift_x, shift_y)
            for picture, (shift_x, shift_y) in zip(pictures, batch.shifts.tolist(), strict=True)
        ]
        return VisionBatch(batch, torch.tensor(labels))


def cell_labels(pool: ImagePool, picture: Picture, shift_x: int, shift_y: int) -> list[list[tuple[int, int]]]:
    """The kind and the turn in each slot of each cell, for a picture that is shifted by some pixels."""
    kinds, spots = pool.kinds[picture.index].tolist(), pool.spots[picture.index].tolist()
    objects = [(kind, spot) for kind, spot in zip(kinds, spots, strict=True) if kind >= 0]
    if picture.mirrored:
        objects.reverse()
    cells: list[list[tuple[int, int]]] = [[] for _ in range(ROWS * COLUMNS)]
    for turn, (kind, (x, y)) in enumerate(objects):
        # A picture is mirrored before it is shifted. A center that leaves the picture counts for its edge.
        mirrored_x = SCENE_WIDTH - 1 - x if picture.mirrored else x
        column = min(max(int((mirrored_x + shift_x) // TOKEN_SIDE), 0), COLUMNS - 1)
        row = min(max(int((y + shift_y) // TOKEN_SIDE), 0), ROWS - 1)
        cells[row * COLUMNS + column].append((kind, turn))
    return [(labels + [EMPTY] * SLOTS)[:SLOTS] for labels in cells]


def make_head(hidden: int) -> nn.Linear:
    """Maps an image token to the logits of its slots: one for presence, then those of each target."""
    return nn.Linear(hidden, SLOTS * (1 + sum(TARGET_SIZES)))


def cell_loss(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, dict[str, float]]:
    """Return the loss of a batch, and the accuracy of presence ("objects") and of each target.

    `logits` is the head's output, (B * cells, outputs). Only slots with an object count for the targets.
    """
    slot_logits = logits.float().reshape(len(logits), SLOTS, -1)
    presence_logits, *target_logits = torch.split(slot_logits, [1, *TARGET_SIZES], -1)
    presence_logits = presence_logits.squeeze(-1)
    kinds, turns = labels.flatten(0, 1).unbind(-1)
    present = kinds >= 0
    loss = 4 * F.binary_cross_entropy_with_logits(presence_logits, present.float())
    accuracies = {"objects": float(((presence_logits > 0) == present).all(-1).float().mean())}
    values = torch.tensor(KIND_VALUES, device=kinds.device)[kinds[present]]
    targets = torch.cat([values, turns[present][:, None]], 1)
    for name, scores, target in zip(TARGETS, target_logits, targets.T, strict=True):
        loss = loss + F.cross_entropy(scores[present], target)
        accuracies[name] = float((scores[present].argmax(-1) == target).float().mean())
    return loss, accuracies
