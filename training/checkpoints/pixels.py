"""Limits on the pixels of an image, which processors like those of Qwen keep in their configuration.

A trained checkpoint's configuration contains the limits that it was trained with, so that `harness eval` and
vLLM show it images of the same size.
"""

from pathlib import Path
from typing import Any

from harness.errors import UserError
from harness.files import store

# Files in which a processor keeps the settings of its images, and the key under which it does.
FILES = {"processor_config.json": "image_processor", "preprocessor_config.json": None}


def limit_pixels(name: str, processor: Any, smallest: int | None, largest: int | None) -> None:
    """Sets the limits of a loaded processor; None keeps its own. Raises UserError if it has no limits."""
    images: Any = getattr(processor, "image_processor", None)
    accepted = getattr(getattr(images, "valid_kwargs", None), "__annotations__", {})
    if not {"min_pixels", "max_pixels"} <= accepted.keys():
        raise UserError(
            f"{name}: min_pixels and max_pixels expect an image processor with such limits, got "
            f"{type(images).__name__}; remove them"
        )
    size = images.size
    smallest, largest = smallest or size.shortest_edge, largest or size.longest_edge
    if smallest > largest:
        raise UserError(f"min_pixels: expected at most max_pixels, {largest}, got {smallest}")
    # The Qwen family calls both numbers of pixels edges.
    images.size = type(size)(shortest_edge=smallest, longest_edge=largest)


def write_limits(folder: Path, **limits: int | None) -> None:
    """Writes min_pixels and max_pixels into the checkpoint in `folder`, where they come before its `size`."""
    given = {name: limit for name, limit in limits.items() if limit is not None}
    for file, key in FILES.items():
        path = folder / file
        contents = store.read_json(path, dict[str, Any]) if path.is_file() else {}
        settings = contents.get(key, {}) if key else contents
        if settings and given:
            settings |= given
            store.write_json(path, contents)
