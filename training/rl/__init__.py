"""Reinforcement learning with GRPO or DAPO, with or without PolicyRollout (paper, TriMPI, stage 3).

Start with `rollout`, which has a diagram of the data flow; `shared_prefix`, `rewards`, `dynamic_sampling` and
`kl` are its parts, and `trainer` turns the settings of a recipe into its arguments.

In competing methods a teacher corrects each token. Start with `per_token`, which has a diagram; `methods` has
their settings, and `teacher`, `advantages` and `divergence` are its parts. `citations` is a further reward.
"""
