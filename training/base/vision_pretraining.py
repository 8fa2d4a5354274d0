"""Learning to see before learning to speak: what stands in each cell of the picture, told by a head that is
dropped afterwards.

A cell is what becomes one image token, 28 x 28 pixels. Two objects may stand in one, so each cell has two
places, the left object first. Besides its attributes, each object's turn is told: how many stand further
left. Captions go from left to right, and attention, which only knows distances, finds that order hard to see.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn
from torch.nn import functional as F
from torch.utils.data import Dataset

from clevrpolicy.scene.ontology import ATTRIBUTES, KINDS
from harness.seeds import rng
from training.base.data.examples import Picture
from training.base.data.image_pool import HEIGHT, MOST, WIDTH, Pool
from training.base.data.pixels import Shots, shots
from training.base.data.samplers import Material
from training.base.model.checkpoint import MERGE, PATCH

CELL = PATCH * MERGE
COLUMNS, ROWS = WIDTH // CELL, HEIGHT // CELL
PLACES = 2
NOTHING = (-1, -1)
SIZES = [*(len(values) for values in ATTRIBUTES.values()), MOST]
"""Of each attribute, and of the turns, how many values there are."""
VALUES = [[ATTRIBUTES[name].index(getattr(kind, name)) for name in ATTRIBUTES] for kind in KINDS]
"""(96, 4): of each kind, its values' indices."""


@dataclass
class View:
    """Pictures and what stands in their cells."""

    shots: Shots
    found: torch.Tensor
    """(B, cells, places, 2): index into KINDS and turn, -1 where there is nothing."""


class Views(Dataset[View]):
    """Random pictures of scenes, step by step; changed a little where varied."""

    def __init__(self, material: Material, seed: int, rows: int, varied: bool) -> None:
        self.pool, self.scenes = material.pool, range(material.first, material.last)
        self.seed, self.rows, self.varied = seed, rows, varied

    def __getitem__(self, step: int) -> View:
        draw = rng(self.seed, "base", "sight", step)
        shown = [Picture("scene", i, draw.random() < 0.5) for i in draw.choices(self.scenes, k=self.rows)]
        taken = shots(shown, draw if self.varied else None)
        moves = taken.moves.tolist()
        found = [
            cells(self.pool, picture, columns, rows)
            for picture, (columns, rows) in zip(shown, moves, strict=True)
        ]
        return View(taken, torch.tensor(found))


def cells(pool: Pool, picture: Picture, columns: int, rows: int) -> list[list[tuple[int, int]]]:
    """For each cell of a picture that was moved by so many pixels: kind and turn in each of its places."""
    found: list[list[tuple[int, int]]] = [[] for _ in range(ROWS * COLUMNS)]
    there = zip(pool.kinds[picture.index].tolist(), pool.spots[picture.index].tolist(), strict=True)
    objects = [(kind, spot) for kind, spot in there if kind >= 0]
    for turn, (kind, (x, y)) in enumerate(objects[::-1] if picture.mirrored else objects):
        # Pictures are mirrored first and moved then.
        column = ((WIDTH - 1 - x if picture.mirrored else x) + columns) // CELL
        row = (y + rows) // CELL
        place = min(max(int(row), 0), ROWS - 1) * COLUMNS + min(max(int(column), 0), COLUMNS - 1)
        found[place].append((kind, turn))
    return [(items + [NOTHING] * PLACES)[:PLACES] for items in found]


class Head(nn.Module):
    """Says of every place whether an object is there, and its four attributes."""

    def __init__(self, hidden: int) -> None:
        super().__init__()
        self.out = nn.Linear(hidden, PLACES * (1 + sum(SIZES)))

    def forward(self, tokens: torch.Tensor) -> tuple[torch.Tensor, ...]:
        """(B * cells, hidden) -> (B * cells, places, 1 or values): logits of presence and each attribute."""
        return self.out(tokens).float().unflatten(-1, (PLACES, -1)).split([1, *SIZES], -1)  # type: ignore[no-any-return]


def loss(logits: tuple[torch.Tensor, ...], found: torch.Tensor) -> tuple[torch.Tensor, dict[str, float]]:
    """Of a batch, and how often presence and each attribute are right."""
    presence, *scores = logits
    kinds, turns = found.flatten(0, 1).unbind(-1)
    there = kinds >= 0
    seen = presence.squeeze(-1)
    total = 4 * F.binary_cross_entropy_with_logits(seen, there.float())
    right = {"objects": float(((seen > 0) == there).all(-1).float().mean())}
    values = torch.tensor(VALUES, device=kinds.device)[kinds[there]]
    known = torch.cat([values, turns[there][:, None]], 1)
    for column, (name, guesses) in enumerate(zip([*ATTRIBUTES, "turn"], scores, strict=True)):
        total = total + F.cross_entropy(guesses[there], known[:, column])
        right[name] = float((guesses[there].argmax(-1) == known[:, column]).float().mean())
    return total, right
