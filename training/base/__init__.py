"""The tiny base model: a Qwen2.5-VL of four million weights that is trained here from nothing.

`save_random` writes one that was never trained, for tests; so does `python -m training.base OUT [SEED]`.
"""

from training.base.model.checkpoint import SPREAD, save_random

__all__ = ["SPREAD", "save_random"]
