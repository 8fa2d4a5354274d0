"""Renders a benchmark's scenes with Blender, and CLEVR's shapes, materials, lamps and ground.

    pip install bpy==5.0.1                    # in an environment of its own, with Python 3.11
    git clone https://github.com/facebookresearch/clevr-dataset-gen
    python tests/bench/render_with_blender.py clevr-dataset-gen FOLDER [--samples 16] [--scenes 200]

Adds images/NAME.png to FOLDER for the lines of its scenes.jsonl, which makes it a folder for
clevr_fidelity.py. A picture of 480 x 320 pixels takes about 10 seconds of one core. Pictures that exist are
kept, so an interrupted command can be repeated.
"""

import argparse
import json
import math
import time
from pathlib import Path

import bpy

SHAPES = {"cube": "SmoothCube_v2", "sphere": "Sphere", "cylinder": "SmoothCylinder"}
MATERIALS = {"rubber": "Rubber", "metal": "MyMetal"}
LAMPS = {"key": "Lamp_Key", "fill": "Lamp_Fill", "back": "Lamp_Back"}


def append(file: Path, kind: str) -> None:
    bpy.ops.wm.append(directory=f"{file}/{kind}/", filename=file.stem)


def build(scene: dict, data: Path) -> None:
    """Opens CLEVR's base scene, moves camera and lamps, and adds the objects."""
    properties = json.loads((data / "properties.json").read_text())
    bpy.ops.wm.open_mainfile(filepath=str(data / "base_scene.blend"))
    for name in MATERIALS.values():
        append(data / "materials" / f"{name}.blend", "NodeTree")
    bpy.data.objects["Camera"].location = scene["camera"]
    for name, position in scene["lights"].items():
        bpy.data.objects[LAMPS[name]].location = position
    for index, item in enumerate(scene["objects"]):
        shape = SHAPES[item["shape"]]
        append(data / "shapes" / f"{shape}.blend", "Object")
        thing = bpy.data.objects[shape]
        thing.name = f"object {index}"
        radius = properties["sizes"][item["size"]]
        x, y, _ = item["3d_coords"]
        thing.location, thing.scale = (x, y, radius), (radius, radius, radius)
        thing.rotation_euler = (0.0, 0.0, math.radians(item["rotation"]))
        color = [channel / 255 for channel in properties["colors"][item["color"]]]
        thing.data.materials.append(material(MATERIALS[item["material"]], color))


def material(group: str, color: list[float]) -> bpy.types.Material:
    new = bpy.data.materials.new(group)
    new.use_nodes = True
    nodes = new.node_tree.nodes
    node = nodes.new("ShaderNodeGroup")
    node.node_tree = bpy.data.node_groups[group]
    node.inputs["Color"].default_value = [*color, 1.0]
    output = next(each for each in nodes if each.type == "OUTPUT_MATERIAL")
    new.node_tree.links.new(node.outputs["Shader"], output.inputs["Surface"])
    return new


def render(scene: dict, path: Path, samples: int) -> None:
    settings = bpy.context.scene
    settings.render.engine = "CYCLES"
    settings.cycles.samples = samples
    settings.cycles.use_denoising = True
    settings.cycles.use_adaptive_sampling = False
    settings.cycles.blur_glossy = 2.0
    settings.render.resolution_x, settings.render.resolution_y = scene["width"], scene["height"]
    settings.render.resolution_percentage = 100
    settings.render.image_settings.file_format = "PNG"
    settings.render.image_settings.color_mode = "RGB"
    # A command that is interrupted leaves no unfinished picture.
    unfinished = path.with_suffix(".part.png")
    settings.render.filepath = str(unfinished)
    bpy.ops.render.render(write_still=True)
    unfinished.rename(path)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("clevr", type=Path, help="a copy of the repository clevr-dataset-gen")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--samples", type=int, default=16)
    parser.add_argument("--scenes", type=int, help="only the first ones")
    options = parser.parse_args()
    lines = (options.folder / "scenes.jsonl").read_text().splitlines()[: options.scenes]
    (options.folder / "images").mkdir(exist_ok=True)
    for number, scene in enumerate(map(json.loads, lines), 1):
        path = options.folder / "images" / scene["image_filename"]
        if not path.exists():
            start = time.monotonic()
            build(scene, options.clevr / "image_generation" / "data")
            render(scene, path, options.samples)
            seconds = time.monotonic() - start
            print(f"{number} of {len(lines)}: {path.name}, {seconds:.0f} s", flush=True)


if __name__ == "__main__":
    main()
