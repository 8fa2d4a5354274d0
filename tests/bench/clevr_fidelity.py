"""How close are our pictures to Blender's of the same scenes? Differences, and a transfer test.

    python tests/bench/clevr_fidelity.py FOLDER [--training-scenes 1500]

FOLDER is described in tests/bench/blender.py. Differences are measured on every second scene; fit_look.py
fits to the others. In the transfer test, the network of legible.py is trained on our pictures of random
scenes and tested on the folder's objects, and the reverse. As a control, it is also trained on our pictures
of the folder's scenes: this is the accuracy that so few scenes allow. The last line of the output is one
JSON object: the differences, of 255, and accuracies by attribute, in percent.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from blender import Rendered, rendered, unfitted
from legible import Examples, correct, drawn, examples, train
from skimage.metrics import structural_similarity
from tabulate import tabulate

from clevrpolicy.scene.ontology import ATTRIBUTES
from clevrpolicy.scene.render import VERSION, Renderer

# Our scenes on which a network is tested that was trained on the folder.
TEST_SCENES = 300
BINS = 8
LUMINANCE = np.array([0.2126, 0.7152, 0.0722])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--training-scenes", type=int, default=1500, help="our scenes to train on")
    options = parser.parse_args()
    torch.set_num_threads(1)
    scenes = rendered(options.folder)
    with Renderer() as renderer:
        ours = [renderer.render(item.scene) for item in scenes]
    print(f"version {VERSION}; {len(scenes)} scenes of {options.folder.name}\n")
    result = differences(unfitted(scenes), unfitted(ours)) | transfer(scenes, ours, options.training_scenes)
    print(json.dumps(result))


def differences(scenes: Sequence[Rendered], ours: Sequence[np.ndarray]) -> dict[str, float]:
    """Prints the differences, and returns the most important ones."""
    gaps = [
        np.abs(own.astype(float) - item.picture).mean(axis=2) for own, item in zip(ours, scenes, strict=True)
    ]
    # Pixels of each part of the pictures.
    parts: dict[str, list[np.ndarray]] = {"image": gaps, "ground": [], "inside objects": []}
    for gap, item in zip(gaps, scenes, strict=True):
        parts["ground"].append(gap[item.owner < 0])
        parts["inside objects"].append(gap[item.owner >= 0])
        for index, thing in enumerate(item.scene.objects):
            name = f"{thing.kind.material} {thing.kind.shape}"
            parts.setdefault(name, []).append(gap[item.owner == index])
    means = {
        name: float(np.concatenate([part.ravel() for part in some]).mean()) for name, some in parts.items()
    }
    print(f"Mean absolute difference, of 255, on {len(scenes)} scenes that the look was not fitted to")
    print(tabulate([(name, f"{mean:.2f}") for name, mean in means.items()], ["part", "difference"]), "\n")
    ssim = [
        structural_similarity(own, item.picture, channel_axis=2)
        for own, item in zip(ours, scenes, strict=True)
    ]
    print(f"SSIM: mean {np.mean(ssim):.4f}, lowest {np.min(ssim):.4f}\n")
    print_luminance(np.stack(ours), np.stack([item.picture for item in scenes]))
    return {
        "difference": round(means["image"], 2),
        "inside": round(means["inside objects"], 2),
        "ssim": round(float(np.mean(ssim)), 4),
    }


def print_luminance(ours: np.ndarray, theirs: np.ndarray) -> None:
    edges = np.linspace(0, 256, BINS + 1)
    shares = [
        np.histogram(pictures @ LUMINANCE, edges)[0] / (pictures.size / 3) for pictures in (ours, theirs)
    ]
    rows = [
        (f"{low:.0f} to {high - 1:.0f}", f"{own:.1%}", f"{other:.1%}")
        for low, high, own, other in zip(edges, edges[1:], *shares, strict=False)
    ]
    rows.append(("mean", *(f"{(pictures @ LUMINANCE).mean():.1f}" for pictures in (ours, theirs))))
    print(tabulate(rows, ["luminance", "ours", "Blender's"]), "\n")


def transfer(
    scenes: Sequence[Rendered], ours: Sequence[np.ndarray], count: int
) -> dict[str, dict[str, float]]:
    """Prints how well a network transfers, and returns the accuracies in percent."""
    width, height = scenes[0].scene.width, scenes[0].scene.height
    theirs = examples((item.scene, item.picture) for item in scenes)
    same = examples((item.scene, own) for item, own in zip(scenes, ours, strict=True))
    training = examples(drawn(TEST_SCENES, TEST_SCENES + count, width, height))
    test = examples(drawn(0, TEST_SCENES, width, height))
    network = train(training)
    rows = {
        ("ours", "Blender's"): percent(network, theirs),
        ("ours", "ours, same scenes"): percent(network, same),
        ("ours", "ours"): percent(network, test),
        ("Blender's", "ours"): percent(train(theirs), test),
        ("ours, same scenes", "ours"): percent(train(same), test),
    }
    print(
        f"Objects: {len(training.crops)} of our random scenes to train, {len(test.crops)} to test, ", end=""
    )
    print(f"{len(theirs.crops)} of the folder. Accuracy in percent:")
    table = [(*key, *values.values()) for key, values in rows.items()]
    print(tabulate(table, ["trained on", "tested on", *ATTRIBUTES]), "\n")
    return {"ours_to_theirs": rows["ours", "Blender's"], "theirs_to_ours": rows["Blender's", "ours"]}


def percent(network: torch.nn.Module, data: Examples) -> dict[str, float]:
    return {name: round(100 * float(hits.float().mean()), 1) for name, hits in correct(network, data).items()}


if __name__ == "__main__":
    main()
