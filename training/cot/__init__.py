"""`trimpi cot`: chains of thought to train on, from the benchmark itself or from a model.

Read `prompts` first (which instances, what a model is asked, which responses are kept), then `generate`.
"""
