"""The look of a picture is kept: close to the stored one, though not the same bytes on every driver.

After an intended change of the look, raise VERSION in clevrpolicy/scene/render.py and run this file as a
script.
"""

from pathlib import Path

import numpy as np
from PIL import Image

from clevrpolicy.scene.ontology import Kind
from clevrpolicy.scene.placement import place
from clevrpolicy.scene.render import VERSION, Renderer
from harness import seeds

GOLDEN = Path(__file__).with_name(f"{VERSION}.png")
KINDS = (
    Kind("large", "purple", "rubber", "cylinder"),
    Kind("large", "gray", "metal", "sphere"),
    Kind("small", "yellow", "metal", "cylinder"),
    Kind("small", "red", "rubber", "sphere"),
    Kind("large", "cyan", "metal", "cube"),
    Kind("small", "brown", "rubber", "cube"),
)
TOLERANCE = 2.0
"""Mean absolute difference, of 255: drivers round differently, mostly along edges."""


def drawn() -> Image.Image:
    scene = place(KINDS, seeds.rng(11, "golden"), "golden", "test", 160, 112)
    with Renderer() as renderer:
        return Image.fromarray(renderer.render(scene))


def test_picture_looks_as_it_did() -> None:
    stored = np.asarray(Image.open(GOLDEN).convert("RGB")).astype(float)
    difference = np.abs(np.asarray(drawn()) - stored).mean()
    assert difference < TOLERANCE, (
        f"the picture differs from {GOLDEN.name} by {difference:.2f} of 255 on average"
    )


if __name__ == "__main__":
    drawn().save(GOLDEN, optimize=True)
