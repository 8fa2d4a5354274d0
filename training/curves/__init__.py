"""What is seen of a training run: a line for each step while it trains, curves of one run or of several."""
