"""A PolicyRolloutTrainer on the tiny random checkpoint, with rewards that need no skill."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from trl import GRPOConfig

from harness.backends.chat import Reader
from harness.backends.checkpoint import load_checkpoint
from harness.variants import IN_CONTEXT, INTERNALIZED, Variant, prompt
from training.config import Data
from training.dataset import Mixture
from training.rl.rollout import PolicyRolloutTrainer

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
    # TRL's default scores in bfloat16, on a CPU too.
    "bf16": False,
    "disable_tqdm": True,
    "save_strategy": "no",
    "remove_unused_columns": False,
}


def lottery(completion_ids: list[list[int]], **_: Any) -> list[float]:
    """A reward that differs between any two responses, more or less."""
    return [sum(ids) % 11 / 11 for ids in completion_ids]


def mixture(*folders: Path) -> Mixture:
    return Mixture([Data(benchmark=folder) for folder in folders], reasoned=False)


def trainer(
    checkpoint: Path,
    data: Mixture,
    out: Path,
    kind: type = PolicyRolloutTrainer,
    reward: Callable[..., Any] = lottery,
    **settings: Any,
) -> Any:
    """Of PolicyRollout unless asked otherwise."""
    model, processor = load_checkpoint(str(checkpoint), torch.device("cpu"))
    ours = issubclass(kind, PolicyRolloutTrainer)
    own = {name: settings.pop(name) for name in ("policy_rollout", "retries") if name in settings}
    own = {"policy_rollout": True} | own if ours else {}
    return kind(
        model=model,
        reward_funcs=[reward],
        args=GRPOConfig(output_dir=str(out), **(SETTINGS | settings)),
        train_dataset=data.rollouts(),
        processing_class=processor,
        **own,
    )


def batch(of: Any) -> list[dict[str, Any]]:
    """The rows that a trainer would sample for next, a group's one after the other."""
    of.model.train()
    of.current_gradient_accumulation_steps = of.args.gradient_accumulation_steps
    rows: list[dict[str, Any]] = next(iter(of.get_train_dataloader()))
    return rows


def read(of: Any, data: Mixture, row: dict[str, Any], shown: bool) -> Any:
    """The tensors that the harness gives a model for this instance at evaluation."""
    benchmark = data.benchmarks[row["benchmark"]]
    instance = data.instances[row["benchmark"]][row["instance"]]
    variant: Variant = IN_CONTEXT if shown else INTERNALIZED
    asked = prompt(instance, variant, benchmark.policies)
    assert asked is not None
    reader = Reader(of.processing_class, of.model.config, benchmark, None, 0)
    return reader.read([asked])


def logprobs(model: Any, inputs: Any, response: list[int]) -> torch.Tensor:
    """Of each token of a response after a prompt, by nothing but the model's own forward; (tokens,)."""
    ids = torch.cat([inputs["input_ids"], torch.tensor([response])], 1)
    pictures = {name: inputs[name] for name in ("pixel_values", "image_grid_thw") if name in inputs}
    if "mm_token_type_ids" in inputs:
        text = torch.zeros((1, len(response)), dtype=inputs["mm_token_type_ids"].dtype)
        pictures["mm_token_type_ids"] = torch.cat([inputs["mm_token_type_ids"], text], 1)
    logits = model(input_ids=ids, attention_mask=torch.ones_like(ids), **pictures).logits[0]
    ahead = logits[inputs["input_ids"].shape[1] - 1 : -1].log_softmax(-1)
    return ahead.gather(1, torch.tensor(response)[:, None])[:, 0]
