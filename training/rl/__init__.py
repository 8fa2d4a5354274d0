"""Reinforcement learning by GRPO or DAPO, with PolicyRollout (paper, TriMPI, stage 3)."""
