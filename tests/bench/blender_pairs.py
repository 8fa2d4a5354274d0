"""The same scenes in Blender's pictures and in ours, as two copies of CLEVR that `clevrpolicy import` reads.

    python tests/bench/blender_pairs.py FOLDER OUT [--max-objects 6]
    clevrpolicy import OUT/blender blender --train 0 --test 20 --balance natural
    clevrpolicy import OUT/ours ours --train 0 --test 20 --balance natural

FOLDER is described in tests/bench/blender.py. Both benchmarks have the same policies and questions.
"""

import argparse
import json
from pathlib import Path

from blender import rendered
from PIL import Image

from clevrpolicy.scene import clevr_json
from clevrpolicy.scene.render import Renderer


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--max-objects", type=int, default=6, help="leave out scenes with more objects")
    options = parser.parse_args()
    scenes = [r for r in rendered(options.folder) if len(r.scene.objects) <= options.max_objects]
    with Renderer() as renderer:
        pictures = {
            "blender": [item.picture for item in scenes],
            "ours": [renderer.render(item.scene) for item in scenes],
        }
    records = [clevr_json.encode(item.scene, index) for index, item in enumerate(scenes)]
    for name, shown in pictures.items():
        folder = options.out / name
        for split in ("train", "val"):
            (folder / "images" / split).mkdir(parents=True)
            (folder / "scenes").mkdir(exist_ok=True)
            kept = records if split == "val" else []
            (folder / "scenes" / f"CLEVR_{split}_scenes.json").write_text(json.dumps({"scenes": kept}))
        for record, picture in zip(records, shown, strict=True):
            Image.fromarray(picture).save(folder / "images" / "val" / record["image_filename"])
    print(f"{len(scenes)} scenes")


if __name__ == "__main__":
    main()
