"""A benchmark that consists of images, for tests of backends that run models."""

import random

from PIL import Image

from harness.errors import UserError
from harness.records import Part


class Pictures:
    """Images with random colors seeded by their names; broken.png is unreadable. Records which were read."""

    def __init__(self) -> None:
        self.read: list[str] = []

    def image(self, path: str) -> Image.Image:
        self.read.append(path)
        if path == "broken.png":
            raise UserError("broken.png: not a readable image: image file is truncated")
        colors = random.Random(path).randbytes(3 * 6)
        return Image.frombytes("RGB", (3, 2), colors).resize((480, 320), Image.Resampling.NEAREST)


def parts(*values: str) -> tuple[Part, ...]:
    """Values ending in .png are images."""
    return tuple(Part("image" if value.endswith(".png") else "text", value) for value in values)
