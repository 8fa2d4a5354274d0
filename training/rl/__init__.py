"""Reinforcement learning with GRPO or DAPO, with or without PolicyRollout (paper, TriMPI, stage 3).

Start with `rollout`, which has a diagram of the data flow; `rollout_batch`, `shared_prefix`, `rewards`,
`dynamic_sampling` and `kl` are its parts, and `trainer` turns the settings of a recipe into its arguments.

In competing methods a `teacher` corrects each token. `citations` is a further reward, `environment` makes
dialogs available to TRL's own trainer, and `vllm_errors` explains what vLLM reports.
"""
