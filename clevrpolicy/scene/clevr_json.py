"""Scenes as CLEVR's JSON: what its tools read, and what they miss (camera, lights, boxes, pixels)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from clevrpolicy.scene.ontology import Kind, Object, Scene
from clevrpolicy.scene.placement import DIRECTIONS, RELATED


def encode(scene: Scene, index: int) -> dict[str, Any]:
    """One scene; index is its place within its split."""
    return {
        "image_index": index,
        "image_filename": f"{scene.id}.png",
        "split": scene.split,
        "objects": [_object(o) for o in scene.objects],
        "relationships": _relationships(scene.objects),
        "directions": {name: list(direction) for name, direction in DIRECTIONS.items()},
        "width": scene.width,
        "height": scene.height,
        "camera": scene.camera,
        "lights": scene.lights,
    }


def decode(data: dict[str, Any]) -> Scene:
    """The scene again, as encode wrote it; CLEVR's own scenes lack camera, lamps and boxes (KeyError)."""
    objects = tuple(
        Object(
            kind=Kind(o["size"], o["color"], o["material"], o["shape"]),
            coords=_vector(o["3d_coords"]),
            rotation=o["rotation"],
            pixel_coords=_vector(o["pixel_coords"]),
            bbox=tuple(o["bbox"]),
            visible_pixels=o["visible_pixels"],
        )
        for o in data["objects"]
    )
    lights = {name: _vector(at) for name, at in data["lights"].items()}
    name = data["image_filename"].removesuffix(".png")
    size = data["width"], data["height"]
    return Scene(name, data["split"], *size, objects, _vector(data["camera"]), lights)


def collection(scenes: Iterable[dict[str, Any]], split: str) -> dict[str, Any]:
    """Encoded scenes as the one JSON object that CLEVR keeps for a split."""
    info = {"date": "", "version": "1.0", "split": split, "license": ""}
    return {"info": info, "scenes": list(scenes)}


def _object(o: Object) -> dict[str, Any]:
    return {
        **o.kind._asdict(),
        "3d_coords": o.coords,
        "rotation": o.rotation,
        "pixel_coords": o.pixel_coords,
        "bbox": o.bbox,
        "visible_pixels": o.visible_pixels,
    }


def _relationships(objects: tuple[Object, ...]) -> dict[str, list[list[int]]]:
    """For each direction and object: the objects that lie in that direction from it."""

    def beyond(a: Object, b: Object, direction: tuple[float, float, float]) -> bool:
        return sum((q - p) * d for p, q, d in zip(a.coords, b.coords, direction, strict=True)) > RELATED

    return {
        name: [[i for i, b in enumerate(objects) if b is not a and beyond(a, b, direction)] for a in objects]
        for name, direction in DIRECTIONS.items()
    }


def _vector(values: Any) -> tuple[float, float, float]:
    x, y, z = values
    return x, y, z


def kinds(data: dict[str, Any]) -> tuple[str, tuple[Kind, ...]]:
    """A scene's id and the kinds of its objects, all that a policy asks about.

    They stand from left to right as they are seen, so that who lists them can be expected to know the order.
    """
    seen = sorted(data["objects"], key=lambda o: o["pixel_coords"][0])
    found = tuple(Kind(o["size"], o["color"], o["material"], o["shape"]) for o in seen)
    return data["image_filename"].removesuffix(".png"), found
