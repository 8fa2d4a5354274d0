"""Loads a checkpoint's processor without torchvision, which transformers needs only for videos.

AutoProcessor refuses Qwen2-VL, Qwen2.5-VL, Qwen3-VL and others without torchvision, because it cannot create
their video processors. No benchmark here contains videos, so the processor class is used without its video
processor. Saving it writes the video configuration back, so that other programs can load the checkpoint.
"""

from collections.abc import Mapping
from typing import Any


def load_processor(path: str, *, local_files_only: bool) -> Any:
    """The processor of a checkpoint folder or hub id: images and texts in, tensors out.

    Raises OSError or ValueError, with the message of transformers, if it cannot be read.
    """
    from transformers import AutoConfig, AutoProcessor
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
    from transformers.utils import is_torchvision_available
    from transformers.video_processing_utils import BaseVideoProcessor

    config = AutoConfig.from_pretrained(path, local_files_only=local_files_only)
    original = PROCESSOR_MAPPING.get(type(config), None)
    # A processor's components are positional arguments, so only the last can be left out.
    if is_torchvision_available() or original is None or original.get_attributes()[-1] != "video_processor":
        return AutoProcessor.from_pretrained(path, local_files_only=local_files_only)
    video, _ = BaseVideoProcessor.get_video_processor_dict(path, local_files_only=local_files_only)
    return image_only(original, video).from_pretrained(path, local_files_only=local_files_only)


def image_only(original: Any, video: Mapping[str, Any]) -> Any:
    """The class without its video processor. It saves this video configuration and the original's name."""

    class ImageOnly(original):  # type: ignore[misc]
        @classmethod
        def get_attributes(cls) -> list[str]:
            return [name for name in super().get_attributes() if name != "video_processor"]

        def to_dict(self) -> dict[str, Any]:
            return {**super().to_dict(), "video_processor": dict(video)}

    ImageOnly.__name__ = original.__name__
    return ImageOnly
