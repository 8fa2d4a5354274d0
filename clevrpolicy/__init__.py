"""Decision-tree policies over CLEVR-like scenes: text (-T) or text with image crops (-M)."""
