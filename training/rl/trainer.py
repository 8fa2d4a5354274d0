"""A trainer for the settings of a recipe: TRL's arguments, the losses and the rewards."""

from collections.abc import Mapping
from typing import Any

from trl import GRPOConfig
from trl.rewards import get_soft_overlong_punishment

from harness.backends.local.tokens import as_text
from training.config import RlSettings
from training.rl import rewards
from training.rl.citations import citation_reward
from training.rl.teacher.model import load_teacher
from training.rl.teacher.per_token import PerTokenTrainer
from training.sequences.dataset import SPLIT, Mixture
from training.trainers.devices import accumulation_steps, process_state
from training.trainers.trl_fields import make_config

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
    functions: list[Any] = [*rewards.reward_functions(mixture.benchmarks, SPLIT)]
    teacher, tries = None, 0
    if settings.citation_weight:
        functions.append(citation_reward(mixture.benchmarks, SPLIT))
    if settings.overlong == "penalty":
        functions.append(get_soft_overlong_punishment(settings.max_new_tokens, settings.overlong_buffer))
    if settings.teacher is not None:
        teacher = load_teacher(settings.teacher, base, model.name_or_path, processor, process_state().device)
    # Without rewards there is nothing to replace.
    if settings.algorithm == "dapo" and (settings.teacher is None or settings.teacher.method != "opcd"):
        tries = settings.tries
    return PerTokenTrainer(
        model=model,
        args=rl_config(settings, shared),
        processing_class=processor,
        train_dataset=mixture.rl_dataset(as_text(processor), with_policy=settings.reads_policy),
        reward_funcs=functions,
        policy_rollout=settings.policy_rollout,
        tries=tries,
        clamp_kl=settings.clamp_kl,
        teacher=teacher,
        negative_advantages=settings.negative_advantages,
    )


def rl_config(settings: RlSettings, shared: Mapping[str, Any]) -> GRPOConfig:
    """TRL's configuration of the stage. Raises UserError for a wrong field of the recipe's table rl.trl."""
    # TRL counts in passes: passes per update (gradient accumulation) and passes per rollout batch.
    responses = settings.prompts * settings.responses
    passes_per_update = accumulation_steps(responses // settings.updates, settings.micro_batch)
    weights = rewards.reward_weights(settings.format_weight, settings.citation_weight)
    arguments = {
        **shared,
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": "constant_with_warmup",
        "warmup_steps": settings.warmup_steps,
        "weight_decay": settings.weight_decay,
        "delta": settings.dual_clip,
        "num_train_epochs": settings.epochs,
        "max_steps": settings.max_steps or -1,
        "per_device_train_batch_size": settings.micro_batch,
        "gradient_accumulation_steps": passes_per_update,
        "steps_per_generation": passes_per_update * settings.updates,
        "num_generations": settings.responses,
        "max_completion_length": settings.max_new_tokens,
        "temperature": settings.temperature,
        "top_p": settings.top_p,
        "mask_truncated_completions": settings.overlong == "mask",
        "reward_weights": [*weights, 1.0] if settings.overlong == "penalty" else weights,
        "use_vllm": settings.vllm != "off",
        "vllm_mode": "server" if settings.vllm == "server" else "colocate",
        "vllm_server_base_url": settings.vllm_server,
        # It would send the images of every response to the main process.
        "log_multimodal": False,
    }
    # The arguments that depend on the algorithm have no settings of their own, so rl.trl may change them.
    loss = {**LOSSES[settings.algorithm], **(CISPO if settings.cispo else {})}
    return make_config(GRPOConfig, {**loss, **arguments}, settings.trl, arguments, "rl.trl")
