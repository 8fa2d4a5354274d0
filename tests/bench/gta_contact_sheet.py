"""Draws the picture of docs/gtapolicy_pictures.md: sixty images of the generated dialogs.

python tests/bench/gta_contact_sheet.py docs
"""

import sys
from itertools import zip_longest
from pathlib import Path

from PIL import Image, ImageOps

from gtapolicy.pictures.camera import CameraView
from gtapolicy.scenarios import Scenarios

SEED = 5
WIDTH, HEIGHT = 180, 150
COLUMNS, ROWS = 10, 6
# Of the whole sheet; with more colors the file would be larger than 600 KB.
PALETTE_SIZE = 128


def chosen_views(scenarios: Scenarios) -> list[CameraView]:
    """One image of each family, then a second one of each, and so on."""
    by_family: dict[str, list[CameraView]] = {name: [] for name in scenarios.families}
    for number in range(scenarios.queries):
        by_family[scenarios.outline(SEED, number).family] += scenarios.views(SEED, number).values()
    in_turns = [view for row in zip_longest(*by_family.values()) for view in row if view]
    return in_turns[: COLUMNS * ROWS]


def main(folder: Path) -> None:
    scenarios = Scenarios()
    sheet = Image.new("RGB", (COLUMNS * WIDTH, ROWS * HEIGHT), "white")
    for index, view in enumerate(chosen_views(scenarios)):
        small = ImageOps.pad(view.image(), (WIDTH - 6, HEIGHT - 6), Image.Resampling.LANCZOS, "white")
        sheet.paste(small, (WIDTH * (index % COLUMNS) + 3, HEIGHT * (index // COLUMNS) + 3))
    palette = sheet.quantize(PALETTE_SIZE, Image.Quantize.MEDIANCUT, kmeans=3)
    quantized = sheet.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    quantized.save(folder / "gta_contact_sheet.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
