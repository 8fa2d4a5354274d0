"""Reinforcement learning as TRL is told of it: the settings of a recipe, the losses, the rewards."""

from __future__ import annotations

from typing import Any

from trl import GRPOConfig

from training.config import Rl
from training.dataset import SPLIT, Mixture
from training.devices import accumulation
from training.rl import rewards
from training.rl.rollout import LOSSES, PolicyRolloutTrainer


def make_trainer(
    settings: Rl, model: Any, processor: Any, mixture: Mixture, common: dict[str, Any]
) -> PolicyRolloutTrainer:
    """A trainer for GRPO or DAPO, with or without PolicyRollout (paper, TriMPI, stage 3)."""
    return PolicyRolloutTrainer(
        model=model,
        args=GRPOConfig(**common, **_arguments(settings)),
        processing_class=processor,
        train_dataset=mixture.rollouts(),
        reward_funcs=rewards.functions(mixture.benchmarks, SPLIT),
        policy_rollout=settings.policy_rollout,
        retries=settings.retries if settings.algorithm == "dapo" else 0,
    )


def _arguments(settings: Rl) -> dict[str, Any]:
    responses = settings.prompts * settings.responses
    passes = accumulation(responses // settings.updates, settings.micro_batch)
    vllm = settings.vllm != "off"
    return {
        **LOSSES[settings.algorithm],
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "constant_with_warmup",
        "warmup_steps": settings.warmup_steps,
        "num_train_epochs": settings.epochs,
        "max_steps": settings.max_steps or -1,
        "per_device_train_batch_size": settings.micro_batch,
        "gradient_accumulation_steps": passes,
        "steps_per_generation": passes * settings.updates,
        "num_generations": settings.responses,
        "max_completion_length": settings.max_new_tokens,
        "temperature": settings.temperature,
        "reward_weights": rewards.weights(settings.format_weight),
        "use_vllm": vllm,
        **({"vllm_mode": settings.vllm, "vllm_server_base_url": settings.vllm_server} if vllm else {}),
    }
