"""Renders the pictures of docs/pictures.md: a sheet of scenes, and a row of image demonstrations.

    python tests/bench/contact_sheet.py docs [--blender FOLDER]

With a folder as in tests/bench/blender.py, it also writes a sheet of pairs: our picture, and Blender's of the
same scene.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

from blender import rendered, unfitted
from PIL import Image, ImageOps

from clevrpolicy.scene.crops import crop, demonstration
from clevrpolicy.scene.ontology import ATTRIBUTES, KINDS
from clevrpolicy.scene.placement import place
from clevrpolicy.scene.render import Renderer
from harness import seeds

WIDTH, HEIGHT = 240, 160
COLUMNS, ROWS = 4, 3
# Bits kept of each channel: the two that are dropped would double the size of the files.
KEPT_BITS = 6


def scenes(renderer: Renderer) -> list[Image.Image]:
    pictures = []
    for index in range(COLUMNS * ROWS):
        rng = seeds.rng(4, "contact sheet", index)
        kinds = rng.choices(KINDS, k=rng.randint(3, 10))
        pictures.append(
            Image.fromarray(renderer.render(place(kinds, rng, str(index), "sheet", WIDTH, HEIGHT)))
        )
    return pictures


def pairs(renderer: Renderer, folder: Path) -> list[Image.Image]:
    """Ours and Blender's in turn, of scenes that the look was not fitted to."""
    some = unfitted(rendered(folder, shrink=2))[: COLUMNS * ROWS]
    return [
        Image.fromarray(picture) for item in some for picture in (renderer.render(item.scene), item.picture)
    ]


def crops(renderer: Renderer) -> list[Image.Image]:
    return [
        crop(renderer, demonstration(attribute, value, seeds.rng(4, "crops", attribute, value)))
        for attribute, values in ATTRIBUTES.items()
        for value in values
    ]


def tiled(pictures: Sequence[Image.Image], columns: int) -> Image.Image:
    """The pictures, all of one size, row by row, in slightly fewer colors."""
    width, height = pictures[0].size
    sheet = Image.new("RGB", (width * columns, height * -(-len(pictures) // columns)), "white")
    for index, picture in enumerate(pictures):
        sheet.paste(picture, (width * (index % columns), height * (index // columns)))
    return ImageOps.posterize(sheet, KEPT_BITS)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("out", type=Path)
    parser.add_argument("--blender", type=Path, metavar="FOLDER")
    options = parser.parse_args()
    with Renderer() as renderer:
        tiled(scenes(renderer), COLUMNS).save(options.out / "contact_sheet.png", optimize=True)
        row = crops(renderer)
        tiled(row, len(row)).save(options.out / "crops.png", optimize=True)
        if options.blender:
            both = tiled(pairs(renderer, options.blender), COLUMNS)
            both.save(options.out / "pairs.png", optimize=True)


if __name__ == "__main__":
    main()
