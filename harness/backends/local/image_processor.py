"""Loads a checkpoint's processor without torchvision, which most models need only for videos.

AutoProcessor refuses Qwen2-VL, Qwen2.5-VL, Qwen3-VL and others without torchvision, because it cannot create
their video processors. No benchmark here contains videos, so the processor class is used without its video
processor. Saving it writes the video configuration back, so that other programs can load the checkpoint.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import Any


def load_processor(path: str, config: Any, **files: Any) -> Any:
    """The processor of a checkpoint folder or hub id with this config: images and texts in, tensors out.

    `files` says where from_pretrained finds them. Raises what transformers raises if it cannot be read.
    """
    from transformers import AutoProcessor
    from transformers.models.auto.processing_auto import PROCESSOR_MAPPING
    from transformers.utils import is_torchvision_available
    from transformers.video_processing_utils import BaseVideoProcessor

    if not is_torchvision_available():
        _import_pil_version(config)
    original = PROCESSOR_MAPPING.get(type(config), None)
    # A processor's components are positional arguments, so only the last can be left out.
    if is_torchvision_available() or original is None or original.get_attributes()[-1] != "video_processor":
        return AutoProcessor.from_pretrained(path, **files)
    video, _ = BaseVideoProcessor.get_video_processor_dict(path, **files)
    return image_only(original, video).from_pretrained(path, **files)


def _import_pil_version(config: Any) -> None:
    """Imports the image processor based on Pillow if transformers wrongly says that it needs torchvision.

    This concerns Idefics3 and SmolVLM. Raises ImportError if it needs torchvision after all.
    """
    from transformers.models.auto.image_processing_auto import IMAGE_PROCESSOR_MAPPING_NAMES

    name = str(IMAGE_PROCESSOR_MAPPING_NAMES.get(config.model_type, {}).get("pil"))
    package = import_module(type(config).__module__.rpartition(".")[0])
    if getattr(getattr(package, name, None), "is_dummy", False):
        module = import_module(f"{package.__name__}.image_processing_pil_{config.model_type}")
        # AutoImageProcessor looks for the class in its package.
        setattr(package, name, getattr(module, name))


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
