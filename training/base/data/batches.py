"""Groups the examples of a training step into padded batches of similar length."""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch.nn.utils.rnn import pad_sequence
from torch.utils.data import Dataset

from harness import seeds
from training.base.data.examples import ExampleEncoder, TokenSequence
from training.base.data.pixels import PictureBatch, picture_batch
from training.base.data.samplers import SceneSampler
from training.base.data.tasks import TASKS

# A batch with MIN_ROWS rows is closed when the next row is longer than MAX_LENGTH_RATIO times its first row.
MIN_ROWS, MAX_LENGTH_RATIO = 8, 1.15


@dataclass
class Batch:
    """Token sequences, padded on the right to the longest of them."""

    ids_BT: torch.Tensor
    weights_BT: torch.Tensor  # of the loss
    questions_BT: torch.Tensor | None  # see model/branches.py; None if each sequence has one question
    pictures: PictureBatch | None  # of all rows in order; None if there are none


@dataclass
class TaskMixDataset(Dataset[list[Batch]]):
    """The steps of a stage: item i is a list of batches that form step i, with its own random generator."""

    seed: int
    stage: str
    mix: Mapping[str, float]  # relative frequency of each task
    sampler: SceneSampler
    encoder: ExampleEncoder
    rows: int  # examples in a step

    def __getitem__(self, step: int) -> list[Batch]:
        rng = seeds.rng(self.seed, "base", self.stage, step)
        names = rng.choices(list(self.mix), list(self.mix.values()), k=self.rows)
        rows = [self.encoder(TASKS[name](rng, self.sampler)) for name in names]
        return [collate(group, self.encoder.pad_id, rng) for group in group_by_length(rows)]


def group_by_length(rows: Sequence[TokenSequence]) -> Iterator[list[TokenSequence]]:
    """Yield groups of similar length, shortest first, so that little of a batch is padding."""
    group: list[TokenSequence] = []
    for row in sorted(rows, key=lambda row: len(row.ids)):
        if len(group) >= MIN_ROWS and len(row.ids) > MAX_LENGTH_RATIO * len(group[0].ids):
            yield group
            group = []
        group.append(row)
    yield group


def collate(rows: Sequence[TokenSequence], pad_id: int, rng: random.Random | None = None) -> Batch:
    """Combine sequences into a batch. If a generator is given, the pictures are randomly augmented."""
    ids_BT = pad_sequence([torch.tensor(row.ids) for row in rows], batch_first=True, padding_value=pad_id)
    weights_BT = pad_sequence([torch.tensor(row.weights) for row in rows], batch_first=True)
    questions_BT = None
    if any(any(row.questions) for row in rows):
        questions_BT = pad_sequence([torch.tensor(row.questions) for row in rows], batch_first=True)
    pictures = [picture for row in rows for picture in row.pictures]
    return Batch(ids_BT, weights_BT, questions_BT, picture_batch(pictures, rng) if pictures else None)
