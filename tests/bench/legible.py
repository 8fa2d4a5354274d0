"""Can the four attributes be recognized in the pictures? Trains a small network and tests it on other scenes.

    python tests/bench/legible.py [--width 480 --height 320] [--scenes 2500]

The network gets the surroundings of one object, cut out around its box and scaled to one size, and the box.
Without the box, a near small object cannot be distinguished from a far large one.
"""

import argparse
from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import nn
from tqdm import tqdm

from clevrpolicy.scene.camera import Camera
from clevrpolicy.scene.ontology import ATTRIBUTES, KINDS, Object, Scene
from clevrpolicy.scene.placement import place
from clevrpolicy.scene.render import Renderer
from harness import seeds

SIDE = 40
TEST_SHARE = 0.2
BATCH = 128
EPOCHS = 14
# The training set is repeated until an epoch has this many batches, each time with other shifts of the crops.
MIN_BATCHES = 20
# Greatest shift and change of scale of a crop in training, as a share of its side.
SHIFT = 0.06
MIN_ACCURACY = 0.98


class Examples(NamedTuple):
    """Objects in pictures."""

    # (objects, 3, SIDE, SIDE) surroundings of each object
    crops: torch.Tensor
    # (objects, 6) its box
    boxes: torch.Tensor
    # (objects, 4) index of its value of each attribute
    answers: torch.Tensor


def drawn(start: int, stop: int, width: int, height: int) -> Iterator[tuple[Scene, np.ndarray]]:
    """Random scenes with these numbers, and our pictures of them."""
    with Renderer() as renderer:
        for index in tqdm(range(start, stop), desc="rendering", unit="scene", mininterval=5):
            rng = seeds.rng(20, "legible", index)
            kinds = rng.choices(KINDS, k=rng.randint(3, 10))
            scene = place(kinds, rng, str(index), "bench", width, height)
            yield scene, renderer.render(scene)


def examples(pictures: Iterable[tuple[Scene, np.ndarray]]) -> Examples:
    """All objects of the pictures."""
    crops, boxes, answers = [], [], []
    for scene, pixels in pictures:
        picture = Image.fromarray(pixels)
        for item in scene.objects:
            crops.append(crop_object(picture, item).transpose(2, 0, 1))
            boxes.append(geometry(item, scene))
            answers.append(labels(item))
    return Examples(torch.tensor(np.array(crops)), torch.tensor(boxes), torch.tensor(answers))


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
    """The edges of the box as shares of the picture, and its width and height in world units.

    The latter are those of an object that stands where the ray through the middle of the box's lower edge
    meets the ground. Without them, a network has to learn perspective from its examples.
    """
    left, top, right, bottom = item.bbox
    camera = Camera(scene.camera, scene.width, scene.height)
    u = (0.5 * (left + right) - 0.5 * scene.width) / camera.focal
    v = (0.5 * scene.height - bottom) / camera.focal
    right_way, up_way, forward = camera.basis
    depth = -scene.camera[2] / (forward[2] + u * right_way[2] + v * up_way[2])
    scale = depth / camera.focal
    edges = [left / scene.width, top / scene.height, right / scene.width, bottom / scene.height]
    return [*edges, (right - left) * scale, (bottom - top) * scale]


def labels(item: Object) -> list[int]:
    return [values.index(value) for values, value in zip(ATTRIBUTES.values(), item.kind, strict=True)]


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
        self.hidden = nn.Sequential(nn.Linear(96 * (SIDE // 8) ** 2, 128), nn.ReLU(), nn.Dropout(0.3))
        self.heads = nn.ModuleList(nn.Linear(128, len(values)) for values in ATTRIBUTES.values())
        # Crops have one scale for all objects, so size is visible only in the box.
        self.heads[0] = nn.Sequential(nn.Linear(6, 32), nn.ReLU(), nn.Linear(32, 2))

    def forward(self, crops: torch.Tensor, boxes: torch.Tensor) -> list[torch.Tensor]:
        hidden = self.hidden(self.features(crops.float() / 255.0 - 0.5))
        size, *others = self.heads
        return [size(boxes), *(head(hidden) for head in others)]


def train(data: Examples) -> AttributeClassifier:
    torch.manual_seed(0)
    model = AttributeClassifier()
    count = len(data.crops)
    repeats = -(-MIN_BATCHES * BATCH // count)
    steps = EPOCHS * -(-count * repeats // BATCH)
    optimizer = torch.optim.AdamW(model.parameters(), lr=2e-3, weight_decay=1e-2)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 4e-3, total_steps=steps)
    for _ in tqdm(range(EPOCHS), desc="training", unit="epoch", mininterval=5):
        for batch in torch.randperm(count * repeats).remainder(count).split(BATCH):
            outputs = model(moved(data.crops[batch]), data.boxes[batch])
            loss = sum(
                nn.functional.cross_entropy(output, data.answers[batch, head])
                for head, output in enumerate(outputs)
            )
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
    return model.eval()


def moved(crops: torch.Tensor) -> torch.Tensor:
    """The crops, each shifted and scaled a little, and half of them mirrored."""
    change = SHIFT * (2.0 * torch.rand(len(crops), 3, 1) - 1.0)
    mirror = 2.0 * torch.randint(2, (len(crops), 1, 1)) - 1.0
    rows = torch.cat([mirror * (1.0 + change[:, :1]), torch.zeros(len(crops), 1, 1), change[:, 1:2]], dim=2)
    columns = torch.cat([torch.zeros(len(crops), 1, 1), 1.0 + change[:, :1], change[:, 2:]], dim=2)
    grid = nn.functional.affine_grid(
        torch.cat([rows, columns], dim=1), list(crops.shape), align_corners=False
    )
    return nn.functional.grid_sample(crops.float(), grid, padding_mode="border", align_corners=False)


def correct(model: AttributeClassifier, data: Examples) -> dict[str, torch.Tensor]:
    """For each attribute: whether the network recognized each object's value."""
    with torch.no_grad():
        outputs = model(data.crops, data.boxes)
    return {
        name: outputs[head].argmax(dim=1) == data.answers[:, head] for head, name in enumerate(ATTRIBUTES)
    }


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--width", type=int, default=480)
    parser.add_argument("--height", type=int, default=320)
    parser.add_argument("--scenes", type=int, default=2500)
    options = parser.parse_args()
    torch.set_num_threads(1)
    first_test = int(options.scenes * (1 - TEST_SHARE))
    training = examples(drawn(0, first_test, options.width, options.height))
    test = examples(drawn(first_test, options.scenes, options.width, options.height))
    print(
        f"{options.width} x {options.height}: {len(training.crops)} training, {len(test.crops)} test objects"
    )
    for head, (name, hits) in enumerate(correct(train(training), test).items()):
        accuracy = hits.float().mean()
        verdict = "passes" if accuracy >= MIN_ACCURACY else "FAILS"
        by_value = ", ".join(
            f"{value} {hits[test.answers[:, head] == index].float().mean():.3f}"
            for index, value in enumerate(ATTRIBUTES[name])
        )
        print(f"{name:9} {accuracy:.4f} {verdict}  ({by_value})")


if __name__ == "__main__":
    main()
