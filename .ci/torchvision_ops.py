"""As sitecustomize.py, lets torchvision's CUDA build load beside a CPU build of torch.

It declares its operators. Images need none of them, but processors import torchvision.
"""

import torch

declared = torch.library.Library("torchvision", "DEF")
declared.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
declared.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
