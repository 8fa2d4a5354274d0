"""Draws the picture of docs/gtapolicy_pictures.md: sixty images of the generated dialogs.

python tests/bench/gta_contact_sheet.py docs
"""

import sys
from itertools import zip_longest
from pathlib import Path

from PIL import Image, ImageOps

from gtapolicy.scenarios import Scenarios

SEED = 5
WIDTH, HEIGHT = 180, 150
COLUMNS, ROWS = 10, 6
# Of the whole sheet; with more colors the file would be larger than 600 KB.
PALETTE_SIZE = 128


def chosen_paths(scenarios: Scenarios) -> list[str]:
    """One image of each family, then a second one of each, and so on."""
    dialogs = scenarios.dialogs(SEED)
    by_family = [
        [path for dialog in dialogs if dialog.family == name for path in dialog.images]
        for name in scenarios.families
    ]
    in_turns = [path for row in zip_longest(*by_family) for path in row if path]
    return in_turns[: COLUMNS * ROWS]


def main(folder: Path) -> None:
    scenarios = Scenarios()
    sheet = Image.new("RGB", (COLUMNS * WIDTH, ROWS * HEIGHT), "white")
    for index, path in enumerate(chosen_paths(scenarios)):
        picture = scenarios.picture(SEED, path)
        small = ImageOps.pad(picture, (WIDTH - 6, HEIGHT - 6), Image.Resampling.LANCZOS, "white")
        sheet.paste(small, (WIDTH * (index % COLUMNS) + 3, HEIGHT * (index // COLUMNS) + 3))
    palette = sheet.quantize(PALETTE_SIZE, Image.Quantize.MEDIANCUT, kmeans=3)
    quantized = sheet.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    quantized.save(folder / "gta_contact_sheet.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
