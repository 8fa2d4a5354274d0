"""Can the four attributes be recognized in the pictures? Trains a small network and tests it on other scenes.

    python tests/bench/legible.py [--width 480 --height 320] [--scenes 2500]

The network gets the surroundings of one object, cut out around its box, and the position of the box. Without
the position, a near small object cannot be distinguished from a far large one.
"""

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
TEST_SHARE = 0.2
EPOCHS = 14
MIN_ACCURACY = 0.98


def scenes(count: int, width: int, height: int) -> Iterator[Scene]:
    for index in range(count):
        rng = seeds.rng(20, "legible", index)
        kinds = rng.choices(KINDS, k=rng.randint(3, 10))
        yield place(kinds, rng, str(index), "bench", width, height)


def crop_object(picture: Image.Image, item: Object) -> np.ndarray:
    """(SIDE, SIDE, 3) square around an object's box, with a margin of a tenth of its longer side."""
    left, top, right, bottom = item.bbox
    half = 0.6 * max(right - left, bottom - top)
    x, y = (left + right) / 2, (top + bottom) / 2
    square = (x - half, y - half, x + half, y + half)
    return np.asarray(picture.resize((SIDE, SIDE), Image.Resampling.BILINEAR, box=clipped(square, picture)))


def clipped(box: tuple[float, ...], picture: Image.Image) -> tuple[float, float, float, float]:
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
                crops.append(crop_object(picture, item).transpose(2, 0, 1))
                boxes.append(geometry(item, scene))
                answers.append(labels(item))
                origins.append(int(scene.id))
    return torch.tensor(np.array(crops)), torch.tensor(boxes), torch.tensor(answers), torch.tensor(origins)


class AttributeClassifier(nn.Module):
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
        self.features = nn.Sequential(*layers, nn.Flatten())
        self.hidden = nn.Sequential(nn.Linear(96 * (SIDE // 8) ** 2 + 6, 128), nn.ReLU(), nn.Dropout(0.2))
        self.heads = nn.ModuleList(nn.Linear(128, len(values)) for values in ATTRIBUTES.values())

    def forward(self, crops: torch.Tensor, boxes: torch.Tensor) -> list[torch.Tensor]:
        features = self.features(crops.float() / 255.0 - 0.5)
        hidden = self.hidden(torch.cat([features, boxes], dim=1))
        return [head(hidden) for head in self.heads]


def train(crops: torch.Tensor, boxes: torch.Tensor, answers: torch.Tensor) -> AttributeClassifier:
    torch.manual_seed(0)
    model = AttributeClassifier()
    steps = EPOCHS * (len(crops) // 128 + 1)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in range(EPOCHS):
        for batch in torch.randperm(len(crops)).split(128):
            outputs = model(crops[batch], boxes[batch])
            loss = sum(
                nn.functional.cross_entropy(output, answers[batch, head])
                for head, output in enumerate(outputs)
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--width", type=int, default=480)
    parser.add_argument("--height", type=int, default=320)
    parser.add_argument("--scenes", type=int, default=2500)
    options = parser.parse_args()
    torch.set_num_threads(1)
    crops, boxes, answers, origins = collect(options.scenes, options.width, options.height)
    test = origins >= int(options.scenes * (1 - TEST_SHARE))
    model = train(crops[~test], boxes[~test], answers[~test])
    with torch.no_grad():
        outputs = model(crops[test], boxes[test])
    print(
        f"{options.width} x {options.height}: {int((~test).sum())} training, {int(test.sum())} test objects"
    )
    for head, (name, values) in enumerate(ATTRIBUTES.items()):
        correct = (outputs[head].argmax(dim=1) == answers[test, head]).float()
        verdict = "passes" if correct.mean() >= MIN_ACCURACY else "FAILS"
        by_value = ", ".join(
            f"{value} {correct[answers[test, head] == index].mean():.3f}"
            for index, value in enumerate(values)
        )
        print(f"{name:9} {correct.mean():.4f} {verdict}  ({by_value})")


if __name__ == "__main__":
    main()
