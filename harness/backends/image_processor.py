"""Loads a checkpoint's processor where torchvision is missing, which transformers wants for videos only.

Without torchvision, AutoProcessor refuses Qwen2-VL, Qwen2.5-VL, Qwen3-VL and others because their video
processor cannot be made, although the image processor has a Pillow twin. No benchmark here shows a video, so
the processor class is taken with its video slot left out. What the slot held is written back on saving, so
that a checkpoint trained here loads as usual elsewhere.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def load_processor(path: str, *, local_files_only: bool) -> Any:
    """The processor of a checkpoint folder or hub id: images and texts in, tensors out.

    Raises OSError or ValueError, with transformers' own words, for a checkpoint that it cannot read.
    """
    from transformers import AutoConfig, AutoProcessor
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
    from transformers.utils import is_torchvision_available
    from transformers.video_processing_utils import BaseVideoProcessor

    config = AutoConfig.from_pretrained(path, local_files_only=local_files_only)
    stock = PROCESSOR_MAPPING.get(type(config), None)
    # The slots are filled by position, so only the last can be left out.
    if is_torchvision_available() or stock is None or stock.get_attributes()[-1] != "video_processor":
        return AutoProcessor.from_pretrained(path, local_files_only=local_files_only)
    video, _ = BaseVideoProcessor.get_video_processor_dict(path, local_files_only=local_files_only)
    return image_only(stock, video).from_pretrained(path, local_files_only=local_files_only)


def image_only(stock: Any, video: Mapping[str, Any]) -> Any:
    """A processor class without its video slot; saves this video configuration and the stock class's name."""

    class ImageOnly(stock):  # type: ignore[misc]
        @classmethod
        def get_attributes(cls) -> list[str]:
            return [name for name in super().get_attributes() if name != "video_processor"]

        def to_dict(self) -> dict[str, Any]:
            return {**super().to_dict(), "video_processor": dict(video)}

    ImageOnly.__name__ = stock.__name__
    return ImageOnly
