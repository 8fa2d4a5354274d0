"""Draws the picture of docs/gtapolicy_pictures.md: forty images of the generated dialogs.

python tests/bench/gta_contact_sheet.py docs
"""

import sys
from itertools import zip_longest
from pathlib import Path

from PIL import Image, ImageOps

from gtapolicy.scenarios import dialogs, picture
from gtapolicy.scenarios.families import FAMILIES

SEED = 5
WIDTH, HEIGHT = 180, 150
COLUMNS, ROWS = 8, 5
# Of the whole sheet; with more colors the file would be larger than 500 KB.
PALETTE_SIZE = 256


def chosen_paths() -> list[str]:
    """One image of each family, then a second one of each, and so on."""
    generated = dialogs(SEED)
    by_family = [
        [path for dialog in generated if dialog.family == name for path in dialog.images] for name in FAMILIES
    ]
    in_turns = [path for row in zip_longest(*by_family) for path in row if path]
    return in_turns[: COLUMNS * ROWS]


def main(folder: Path) -> None:
    sheet = Image.new("RGB", (COLUMNS * WIDTH, ROWS * HEIGHT), "white")
    for index, path in enumerate(chosen_paths()):
        small = ImageOps.pad(picture(SEED, path), (WIDTH - 6, HEIGHT - 6), Image.Resampling.LANCZOS, "white")
        sheet.paste(small, (WIDTH * (index % COLUMNS) + 3, HEIGHT * (index // COLUMNS) + 3))
    palette = sheet.quantize(PALETTE_SIZE, Image.Quantize.MEDIANCUT, kmeans=3)
    quantized = sheet.quantize(palette=palette, dither=Image.Dither.FLOYDSTEINBERG)
    quantized.save(folder / "gta_contact_sheet.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
