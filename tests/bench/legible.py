"""Can the four attributes be read off the pictures? A small network learns them and reads other scenes.

    python tests/bench/legible.py [--width 480 --height 320] [--scenes 2500]

The network sees what a reader of the picture sees of one object: its surroundings, cut out by its box, and
where the box lies, without which a near small thing cannot be told from a far large one.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np
import torch
from PIL import Image
from torch import nn

from clevrpolicy.scene.ontology import ATTRIBUTES, KINDS, Object, Scene
from clevrpolicy.scene.placement import place
from clevrpolicy.scene.render import Renderer
from harness import seeds

SIDE = 40
HELD_OUT = 0.2
EPOCHS = 14
PASS_MARK = 0.98


def scenes(count: int, width: int, height: int) -> Iterator[Scene]:
    for index in range(count):
        rng = seeds.rng(20, "legible", index)
        kinds = rng.choices(KINDS, k=rng.randint(3, 10))
        yield place(kinds, rng, str(index), "bench", width, height)


def cut(picture: Image.Image, item: Object) -> np.ndarray:
    """(SIDE, SIDE, 3) square around an object's box, with a margin of a tenth of its longer side."""
    left, top, right, bottom = item.bbox
    half = 0.6 * max(right - left, bottom - top)
    x, y = (left + right) / 2, (top + bottom) / 2
    square = (x - half, y - half, x + half, y + half)
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=inside(square, picture)))


def inside(box: tuple[float, ...], picture: Image.Image) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    return max(left, 0), max(top, 0), min(right, picture.width), min(bottom, picture.height)


def geometry(item: Object, scene: Scene) -> list[float]:
    left, top, right, bottom = item.bbox
    edges = [left / scene.width, top / scene.height, right / scene.width, bottom / scene.height]
    return [*edges, 8 * (edges[2] - edges[0]), 8 * (edges[3] - edges[1])]


def labels(item: Object) -> list[int]:
    return [values.index(value) for values, value in zip(ATTRIBUTES.values(), item.kind, strict=True)]


def collect(count: int, width: int, height: int) -> tuple[torch.Tensor, ...]:
    """Crops (objects, 3, SIDE, SIDE), boxes (objects, 6), labels (objects, 4) and scene (objects)."""
    crops, boxes, answers, origins = [], [], [], []
    with Renderer() as renderer:
        for scene in scenes(count, width, height):
            picture = Image.fromarray(renderer.render(scene))
            for item in scene.objects:
                crops.append(cut(picture, item).transpose(2, 0, 1))
                boxes.append(geometry(item, scene))
                answers.append(labels(item))
                origins.append(int(scene.id))
    return torch.tensor(np.array(crops)), torch.tensor(boxes), torch.tensor(answers), torch.tensor(origins)


class Reader(nn.Module):
    """Three convolutions, then a head for each attribute."""

    def __init__(self) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in ((3, 24), (24, 48), (48, 96)):
            layers += [
                nn.Conv2d(before, after, 3, padding=1),
                nn.BatchNorm2d(after),
                nn.ReLU(),
                nn.MaxPool2d(2),
            ]
        self.look = nn.Sequential(*layers, nn.Flatten())
        self.join = nn.Sequential(nn.Linear(96 * (SIDE // 8) ** 2 + 6, 128), nn.ReLU(), nn.Dropout(0.2))
        self.heads = nn.ModuleList(nn.Linear(128, len(values)) for values in ATTRIBUTES.values())

    def forward(self, crops: torch.Tensor, boxes: torch.Tensor) -> list[torch.Tensor]:
        seen = self.look(crops.float() / 255.0 - 0.5)
        joined = self.join(torch.cat([seen, boxes], dim=1))
        return [head(joined) for head in self.heads]


def train(crops: torch.Tensor, boxes: torch.Tensor, answers: torch.Tensor) -> Reader:
    torch.manual_seed(0)
    reader = Reader()
    steps = EPOCHS * (len(crops) // 128 + 1)
    optimizer = torch.optim.AdamW(reader.parameters(), lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(crops)).split(128):
            outputs = reader(crops[batch], boxes[batch])
            loss = sum(
                nn.functional.cross_entropy(output, answers[batch, head])
                for head, output in enumerate(outputs)
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return reader.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=480)
    parser.add_argument("--height", type=int, default=320)
    parser.add_argument("--scenes", type=int, default=2500)
    chosen = parser.parse_args()
    torch.set_num_threads(1)
    crops, boxes, answers, origins = collect(chosen.scenes, chosen.width, chosen.height)
    test = origins >= int(chosen.scenes * (1 - HELD_OUT))
    reader = train(crops[~test], boxes[~test], answers[~test])
    with torch.no_grad():
        outputs = reader(crops[test], boxes[test])
    print(
        f"{chosen.width} x {chosen.height}: {int((~test).sum())} objects to learn, {int(test.sum())} to test"
    )
    for head, (name, values) in enumerate(ATTRIBUTES.items()):
        right = (outputs[head].argmax(dim=1) == answers[test, head]).float()
        mark = "passes" if right.mean() >= PASS_MARK else "FAILS"
        each = ", ".join(
            f"{value} {right[answers[test, head] == index].mean():.3f}" for index, value in enumerate(values)
        )
        print(f"{name:9} {right.mean():.4f} {mark}  ({each})")


if __name__ == "__main__":
    main()
