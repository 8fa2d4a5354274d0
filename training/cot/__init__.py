"""`trimpi cot`: chains of thought to train on, from the benchmark itself or from a model.

Read `config` (the request) and `prompts` (the instances, the prompts, and which responses are kept) first,
then `generate`.
"""
