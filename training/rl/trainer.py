"""A trainer for the settings of a recipe: TRL's arguments, the losses and the rewards."""

from collections.abc import Mapping
from typing import Any

from trl import GRPOConfig

from harness.backends.tokens import as_text
from training.config import RlSettings
from training.dataset import SPLIT, Mixture
from training.devices import accumulation_steps, process_state
from training.rl import rewards
from training.rl.citations import citation_reward
from training.rl.per_token import PerTokenTrainer
from training.rl.teacher import load_teacher

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
# Bounds the ratio at 5 (ScaleRL, arXiv 2510.13786) and averages over all tokens.
CISPO = {"loss_type": "cispo", "epsilon_high": 5.0}


def make_rl_trainer(
    settings: RlSettings, model: Any, processor: Any, mixture: Mixture, shared: dict[str, Any], base: str
) -> PerTokenTrainer:
    """A trainer for GRPO or DAPO, in a recipe that starts from the checkpoint `base`.

    `shared` are the arguments that all stages have in common. Raises UserError if the teacher cannot be used.
    """
    reward_funcs, teacher, retries = rewards.reward_functions(mixture.benchmarks, SPLIT), None, 0
    if settings.citation_weight:
        reward_funcs.append(citation_reward(mixture.benchmarks, SPLIT))
    if settings.teacher is not None:
        teacher = load_teacher(settings.teacher, base, model.name_or_path, processor, process_state().device)
    # Without rewards there is nothing to replace.
    if settings.algorithm == "dapo" and (settings.teacher is None or settings.teacher.method != "opcd"):
        retries = settings.retries
    return PerTokenTrainer(
        model=model,
        args=GRPOConfig(**shared, **rl_arguments(settings)),
        processing_class=processor,
        train_dataset=mixture.rl_dataset(as_text(processor)),
        reward_funcs=reward_funcs,
        policy_rollout=settings.policy_rollout,
        retries=retries,
        teacher=teacher,
        negative_advantages=settings.negative_advantages,
    )


def rl_arguments(settings: RlSettings) -> dict[str, Any]:
    # TRL counts in passes: passes per update (gradient accumulation) and passes per rollout batch.
    responses = settings.prompts * settings.responses
    passes_per_update = accumulation_steps(responses // settings.updates, settings.micro_batch)
    arguments = {
        **LOSSES[settings.algorithm],
        **(CISPO if settings.cispo else {}),
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
        "reward_weights": rewards.reward_weights(settings.format_weight, settings.citation_weight),
    }
    if settings.vllm != "off":
        server = settings.vllm_server
        arguments |= {"use_vllm": True, "vllm_mode": settings.vllm, "vllm_server_base_url": server}
    return arguments
