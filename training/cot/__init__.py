"""`trimpi cot`: chains of thought to train on, from the benchmark itself or from a model.

Read `prompts` first (the instances, the prompts, and which responses are kept), then `generate`.
"""
