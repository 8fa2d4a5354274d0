"""Decision-tree policies over CLEVR-like scenes, as text (-T) or as text with image crops (-M).

Read in this order: policy (trees and their texts), scene (placement and rendering), dataset (generation),
grading, and skills (a benchmark of the same scenes without policies).
"""
