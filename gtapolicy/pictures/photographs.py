"""Photographs of scikit-image. docs/gtapolicy_pictures.md lists the source and the license of each one."""

import functools

import numpy as np
from PIL import Image

from harness import registry
from harness.errors import UserError


@functools.lru_cache(maxsize=16)
def photo(name: str) -> Image.Image:
    """The photograph as RGB. Raises UserError if scikit-image is not installed."""
    try:
        import skimage.data
    except ImportError:
        raise UserError(
            f"photographs: expected the package scikit-image, found none; {registry.to_install('gta')}"
        ) from None
    return Image.fromarray(np.asarray(getattr(skimage.data, name)())).convert("RGB")
