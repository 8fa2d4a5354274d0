"""A trainer for the settings of a recipe: TRL's arguments, the losses and the rewards."""

from collections.abc import Mapping
from typing import Any

from trl import GRPOConfig

from harness.backends.tokens import as_text
from training.config import RlSettings
from training.dataset import SPLIT, Mixture
from training.devices import accumulation_steps
from training.rl import rewards
from training.rl.rollout import PolicyRolloutTrainer

# The arguments of GRPOConfig that differ by algorithm (paper, TriMPI, RL). GRPO averages over each response
# and then over responses, and adds the k3 estimate of the KL. DAPO averages over all tokens, without KL.
LOSSES: Mapping[str, Mapping[str, Any]] = {
    "grpo": {
        "loss_type": "grpo",
        "epsilon": 0.2,
        "epsilon_high": 0.3,
        "beta": 0.01,
        "use_bias_correction_kl": False,
    },
    "dapo": {"loss_type": "dapo", "epsilon": 0.2, "epsilon_high": 0.28, "beta": 0.0},
}


def make_rl_trainer(
    settings: RlSettings, model: Any, processor: Any, mixture: Mixture, shared: dict[str, Any]
) -> PolicyRolloutTrainer:
    """A trainer for GRPO or DAPO; `shared` are the arguments that all stages have in common."""
    return PolicyRolloutTrainer(
        model=model,
        args=GRPOConfig(**shared, **rl_arguments(settings)),
        processing_class=processor,
        train_dataset=mixture.rl_dataset(as_text(processor)),
        reward_funcs=rewards.reward_functions(mixture.benchmarks, SPLIT),
        policy_rollout=settings.policy_rollout,
        retries=settings.retries if settings.algorithm == "dapo" else 0,
    )


def rl_arguments(settings: RlSettings) -> dict[str, Any]:
    # TRL counts in passes: passes per update (gradient accumulation) and passes per rollout batch.
    responses = settings.prompts * settings.responses
    passes_per_update = accumulation_steps(responses // settings.updates, settings.micro_batch)
    arguments = {
        **LOSSES[settings.algorithm],
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "constant_with_warmup",
        "warmup_steps": settings.warmup_steps,
        "num_train_epochs": settings.epochs,
        "max_steps": settings.max_steps or -1,
        "per_device_train_batch_size": settings.micro_batch,
        "gradient_accumulation_steps": passes_per_update,
        "steps_per_generation": passes_per_update * settings.updates,
        "num_generations": settings.responses,
        "max_completion_length": settings.max_new_tokens,
        "temperature": settings.temperature,
        "reward_weights": rewards.reward_weights(settings.format_weight),
    }
    if settings.vllm != "off":
        server = settings.vllm_server
        arguments |= {"use_vllm": True, "vllm_mode": settings.vllm, "vllm_server_base_url": server}
    return arguments
