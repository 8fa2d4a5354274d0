"""Examples to the tensors of a training step: rows of about the same length stand together."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch.utils.data import Dataset

from harness.seeds import rng
from training.base.data.examples import Encoded, Encoder
from training.base.data.pixels import Shots, shots
from training.base.data.samplers import Material
from training.base.data.tasks import TASKS

LEAST_ROWS, WASTE = 8, 1.15
"""A batch is closed at so many rows once the next row would be this many times as long as its first."""


@dataclass
class Batch:
    """Rows padded on the right to the longest of them."""

    ids: torch.Tensor
    """(B, T)"""
    weights: torch.Tensor
    """(B, T), of the loss on each token."""
    shots: Shots | None
    """The pictures of all rows in their order; None where there is none."""


class Lessons(Dataset[list[Batch]]):
    """What a stage learns from, step by step: every step can be made alone, in any process.

    A step's rows are cut into batches by length, so that little of them is padding.
    """

    def __init__(
        self, path: tuple[int, str], mix: Mapping[str, float], material: Material, encoder: Encoder, rows: int
    ) -> None:
        """path is the seed and the stage's name; mix gives each task's share; rows is those of a step."""
        self.path, self.mix, self.material, self.encoder, self.rows = path, mix, material, encoder, rows

    def __getitem__(self, step: int) -> list[Batch]:
        draw = rng(self.path[0], "base", self.path[1], step)
        names = draw.choices(list(self.mix), list(self.mix.values()), k=self.rows)
        rows = [self.encoder(TASKS[name](draw, self.material)) for name in names]
        return [batch(cut, self.encoder.pad, draw) for cut in by_length(rows)]


def by_length(rows: Sequence[Encoded]) -> Iterator[list[Encoded]]:
    cut: list[Encoded] = []
    for row in sorted(rows, key=lambda row: len(row.ids)):
        if len(cut) >= LEAST_ROWS and len(row.ids) > WASTE * len(cut[0].ids):
            yield cut
            cut = []
        cut.append(row)
    yield cut


def batch(rows: Sequence[Encoded], pad: int, draw: random.Random | None = None) -> Batch:
    """The tensors of some rows; with a generator, their pictures are changed a little."""
    longest = max(len(row.ids) for row in rows)
    ids = torch.full((len(rows), longest), pad)
    weights = torch.zeros(len(rows), longest)
    for index, row in enumerate(rows):
        ids[index, : len(row.ids)] = torch.tensor(row.ids)
        weights[index, : len(row.ids)] = torch.tensor(row.weights)
    pictures = [picture for row in rows for picture in row.pictures]
    return Batch(ids, weights, shots(pictures, draw) if pictures else None)
