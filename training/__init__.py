"""Trains a checkpoint to follow a policy that is no longer in its prompt.

Read `config` first (recipes and scales), then `dataset` and `collate` (sequences and their loss), `stages`
and `train` (one stage, all stages), and `rl`. `cot` generates chains of thought, `curves` plots what was
logged, `sweep` compares methods, and `base` trains the tiny model that comes with the project.
"""
