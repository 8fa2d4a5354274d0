"""Trains a checkpoint to follow a policy that is no longer in its prompt.

Read `config` first (recipes and scales), then `sequences` (what a stage learns), `stages` and `train` (one
stage, all stages), and `rl`. `checkpoints` and `trainers` are their parts. `cot` generates chains of thought,
`curves` plots what was logged, `sweep` compares methods, and `base` trains the tiny model that comes with the
project.
"""
