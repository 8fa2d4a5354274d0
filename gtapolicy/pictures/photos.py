"""Photographs that scikit-image ships. docs/gtapolicy_pictures.md lists the source and license of each."""

from __future__ import annotations

import functools

import numpy as np
from PIL import Image

from harness.errors import UserError


@functools.lru_cache(maxsize=16)
def photo(name: str) -> Image.Image:
    """The photograph of this name in skimage.data, as RGB.

    Raises UserError if scikit-image is not installed.
    """
    try:
        import skimage.data
    except ImportError:
        raise UserError(
            "photographs: expected the package scikit-image, found none; "
            "install it with pip install 'policy-internalization[gta]'"
        ) from None
    return Image.fromarray(np.asarray(getattr(skimage.data, name)())).convert("RGB")
