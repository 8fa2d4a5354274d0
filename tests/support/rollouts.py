"""A PolicyRolloutTrainer on the tiny random checkpoint, with rewards that need no skill."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from trl import GRPOConfig

from harness.backends.local.chat import Reader
from harness.backends.local.checkpoint import load_checkpoint
from harness.variants import IN_CONTEXT, INTERNALIZED, Variant, prompt
from training.config import TrainingData
from training.rl.rollout import PolicyRolloutTrainer
from training.sequences.dataset import Mixture

SETTINGS = {
    "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 2,
    "num_generations": 4,
    "max_completion_length": 12,
    "max_steps": 2,
    "learning_rate": 1e-3,
    "logging_steps": 1,
    "report_to": [],
    "use_cpu": True,
    # TRL's default is bfloat16, also on a CPU.
    "bf16": False,
    "disable_tqdm": True,
    "save_strategy": "no",
    "remove_unused_columns": False,
}
# Arguments of our trainers that are not arguments of GRPOConfig.
OWN = ("policy_rollout", "tries", "clamp_kl", "teacher", "negative_advantages")


def hash_reward(completion_ids: list[list[int]], **_: Any) -> list[float]:
    """A reward that usually differs between two responses."""
    return [sum(ids) % 11 / 11 for ids in completion_ids]


def make_mixture(*folders: Path) -> Mixture:
    return Mixture([TrainingData(benchmark=folder) for folder in folders], ["rl"])


def make_trainer(
    checkpoint: Path,
    mixture: Mixture,
    out: Path,
    trainer_class: type = PolicyRolloutTrainer,
    reward: Callable[..., Any] = hash_reward,
    **settings: Any,
) -> Any:
    """A trainer with PolicyRollout by default. `settings` are arguments of the trainer or of GRPOConfig."""
    model, processor = load_checkpoint(str(checkpoint), torch.device("cpu"))
    own = {name: settings.pop(name) for name in OWN if name in settings}
    if issubclass(trainer_class, PolicyRolloutTrainer):
        own = {"policy_rollout": True} | own
    return trainer_class(
        model=model,
        reward_funcs=[reward],
        args=GRPOConfig(output_dir=str(out), **(SETTINGS | settings)),
        train_dataset=mixture.rl_dataset(),
        processing_class=processor,
        **own,
    )


def next_rows(trainer: Any) -> list[dict[str, Any]]:
    """The rows that a trainer would sample for next; those of a group follow each other."""
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = trainer.args.gradient_accumulation_steps
    rows: list[dict[str, Any]] = next(iter(trainer.get_train_dataloader()))
    return rows


def eval_inputs(trainer: Any, mixture: Mixture, row: dict[str, Any], with_policy: bool) -> Any:
    """The tensors that the harness gives the model for this instance at evaluation."""
    benchmark = mixture.benchmarks[row["benchmark"]]
    instance = mixture.instances[row["benchmark"]][row["instance"]]
    variant: Variant = IN_CONTEXT if with_policy else INTERNALIZED
    eval_prompt = prompt(instance, variant, benchmark.policies)
    assert eval_prompt is not None
    reader = Reader(trainer.processing_class, trainer.model.config, benchmark, None, 0)
    return reader.read([eval_prompt])


def response_logps(model: Any, inputs: Any, response: list[int]) -> torch.Tensor:
    """Log-probability of each token of a response after a prompt, from the model's own forward; (tokens,)."""
    added = torch.tensor([response], device=inputs["input_ids"].device)
    ids = torch.cat([inputs["input_ids"], added], 1)
    images = {name: inputs[name] for name in inputs if name not in ("input_ids", "attention_mask")}
    for name in ("token_type_ids", "mm_token_type_ids"):
        if name in inputs:
            images[name] = torch.cat([inputs[name], torch.zeros_like(added)], 1)
    logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), **images).logits[0]
    # The logits at a position predict the next token.
    logps = logits[inputs["input_ids"].shape[1] - 1 : -1].log_softmax(-1)
    return logps.gather(1, added[0][:, None])[:, 0]
