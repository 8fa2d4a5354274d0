"""Draws the picture of docs/gtapolicy_pictures.md: forty images of the procedural default set.

python tests/bench/gta_contact_sheet.py docs
"""

from __future__ import annotations

import sys
from itertools import zip_longest
from pathlib import Path

from PIL import Image, ImageOps

from gtapolicy.scenarios import dialogs, picture
from gtapolicy.scenarios.families import FAMILIES

SEED = 5
WIDTH, HEIGHT = 180, 150
COLUMNS, ROWS = 8, 5
KEPT_COLOURS = 256
"""Of the whole sheet; more would make the file larger than 500 KB."""


def chosen() -> list[str]:
    """Paths, the families in turn: first one image of each, then another."""
    made = dialogs(SEED)
    by_family = [[path for item in made if item.family == name for path in item.images] for name in FAMILIES]
    mixed = [path for row in zip_longest(*by_family) for path in row if path]
    return mixed[: COLUMNS * ROWS]


def main(folder: Path) -> None:
    sheet = Image.new("RGB", (COLUMNS * WIDTH, ROWS * HEIGHT), "white")
    for index, path in enumerate(chosen()):
        small = ImageOps.pad(picture(SEED, path), (WIDTH - 6, HEIGHT - 6), Image.Resampling.LANCZOS, "white")
        sheet.paste(small, (WIDTH * (index % COLUMNS) + 3, HEIGHT * (index // COLUMNS) + 3))
    palette = sheet.quantize(KEPT_COLOURS, Image.Quantize.MEDIANCUT, kmeans=3)
    few = sheet.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    few.save(folder / "gta_contact_sheet.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
