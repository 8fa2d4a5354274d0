"""Scenes as CLEVR's JSON: CLEVR's fields, and in addition camera, lights, boxes and pixel counts."""

from collections.abc import Iterable
from typing import Any, BinaryIO

from clevrpolicy.scene.camera import LENS, SENSOR
from clevrpolicy.scene.ontology import ATTRIBUTES, RADIUS, Kind, Object, Scene, Vector
from clevrpolicy.scene.placement import DIRECTIONS, RELATED
from harness.errors import UserError

# The width in pixels of the pictures of the original CLEVR, whose scenes do not contain it.
CLEVR_WIDTH = 480


def encode(scene: Scene, index: int) -> dict[str, Any]:
    """The JSON of one scene. index becomes its image_index."""
    return {
        "image_index": index,
        "image_filename": f"{scene.id}.png",
        "split": scene.split,
        "objects": [_encode_object(o) for o in scene.objects],
        "relationships": {name: _related(scene.objects, along) for name, along in DIRECTIONS.items()},
        "directions": {name: list(direction) for name, direction in DIRECTIONS.items()},
        "width": scene.width,
        "height": scene.height,
        "camera": scene.camera,
        "lights": scene.lights,
    }


def decode(data: dict[str, Any]) -> Scene:
    """The scene of a JSON by encode, with everything that rendering needs.

    Raises UserError for CLEVR's own scenes, and for those of earlier versions, in which cubes were smaller.
    """
    if "camera" not in data:
        raise UserError(
            f"scene {scene_id(data)}: expected the fields camera, lights and bbox, which CLEVR's own scenes "
            "lack; use their pictures instead of rendering them"
        )
    objects = tuple(
        Object(
            kind=_kind(o),
            coords=_vector(o["3d_coords"]),
            rotation=o["rotation"],
            pixel_coords=_vector(o["pixel_coords"]),
            bbox=tuple(o["bbox"]),
            visible_pixels=o["visible_pixels"],
        )
        for o in data["objects"]
    )
    for item in objects:
        if abs(item.coords[2] - RADIUS[item.kind.size]) > 0.01:
            raise UserError(
                f"scene {scene_id(data)}: expected a {item.kind} at height {RADIUS[item.kind.size]}, got "
                f"{item.coords[2]:g}, as in earlier versions, in which cubes were smaller; "
                "generate the benchmark again"
            )
    lights = {name: _vector(position) for name, position in data["lights"].items()}
    size = data["width"], data["height"]
    return Scene(scene_id(data), data["split"], *size, objects, _vector(data["camera"]), lights)


def collection(scenes: Iterable[dict[str, Any]], split: str) -> dict[str, Any]:
    """Encoded scenes as one JSON object, in CLEVR's format for a split."""
    info = {"date": "", "version": "1.0", "split": split, "license": ""}
    return {"info": info, "scenes": list(scenes)}


def is_collection(file: BinaryIO) -> bool:
    """Whether a file begins as `store.write_json` writes a collection. The files of CLEVR contain a date."""
    beginning = b'{\n "info": {\n  "date": "",\n'
    return file.read(len(beginning)) == beginning


def boxes(data: dict[str, Any]) -> list[tuple[int, ...]]:
    """The bounding box of each object in the order of `kinds`: left, top, right, bottom in pixels.

    CLEVR's own scenes have none, so there it is the square around the center that a sphere would have.
    """
    found = []
    for o in _from_left(data["objects"]):
        x, y, depth = map(float, o["pixel_coords"])
        reach = data.get("width", CLEVR_WIDTH) * LENS / SENSOR * RADIUS[o["size"]] / depth
        around = (x - reach, y - reach, x + reach, y + reach)
        found.append(tuple(o.get("bbox") or map(round, around)))
    return found


def kinds(data: dict[str, Any]) -> tuple[str, tuple[Kind, ...]]:
    """A scene's id and the kinds of its objects, from left to right in the picture.

    Policies ask only about these kinds. Gold reasoning lists them in this order, because a model can see it.
    Raises UserError with the first unknown value, and KeyError, TypeError or ValueError for other formats.
    """
    objects = data["objects"]
    if not isinstance(objects, list):
        raise UserError(f"objects: expected a list, got {objects!r}")
    return scene_id(data), tuple(_kind(o) for o in _from_left(objects))


def _from_left(objects: list[dict[str, Any]]) -> list[dict[str, Any]]:
    return sorted(objects, key=lambda o: float(o["pixel_coords"][0]))


def _encode_object(o: Object) -> dict[str, Any]:
    return {
        **o.kind._asdict(),
        "3d_coords": o.coords,
        "rotation": o.rotation,
        "pixel_coords": o.pixel_coords,
        "bbox": o.bbox,
        "visible_pixels": o.visible_pixels,
    }


def _related(objects: tuple[Object, ...], direction: Vector) -> list[list[int]]:
    """For each object: the indices of the objects that are farther in this direction."""

    def is_beyond(start: Object, other: Object) -> bool:
        offsets = zip(start.coords, other.coords, direction, strict=True)
        return sum((b - a) * along for a, b, along in offsets) > RELATED

    return [[i for i, other in enumerate(objects) if is_beyond(start, other)] for start in objects]


def scene_id(data: dict[str, Any]) -> str:
    """The name of the scene's picture without .png; another suffix is part of the id."""
    name: str = data["image_filename"]
    return name.removesuffix(".png")


def _kind(o: dict[str, Any]) -> Kind:
    for name, values in ATTRIBUTES.items():
        if o[name] not in values:
            raise UserError(f"{name}: expected one of {', '.join(values)}, got {o[name]!r}")
    return Kind(o["size"], o["color"], o["material"], o["shape"])


def _vector(values: Any) -> Vector:
    x, y, z = values
    return x, y, z
