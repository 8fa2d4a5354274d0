"""Decision-tree policies over CLEVR-like scenes: text (-T) or text with image crops (-M).

Read in this order: policy (trees, texts), scene (placement, rendering), dataset (generation), grading.
"""
