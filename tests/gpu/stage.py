"""Two updates of one stage on a Qwen2.5-VL of random weights: seconds, tokens per second, peak memory.

    stage.py OUT 3B|7B vm-cpt|cot-sft|rl|rl-poro

The figures are of the second update. Too little memory is a result too.
"""

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any

import random_qwen
import torch
from transformers import TrainerCallback

from training import config
from training.sequences.dataset import Mixture
from training.stages import make_trainer

RECIPES = {"vm-cpt": "vm-cpt-cot-sft", "cot-sft": "cot-sft", "rl": "rl-from-base", "rl-poro": "rl-from-base"}
UPDATES = 2

out, size, name = Path(sys.argv[1]), sys.argv[2], sys.argv[3]
dry = "DRY_RUN" in os.environ
base = out / f"base-{'tiny' if dry else size}"
if not base.exists():
    random_qwen.save("tiny" if dry else size, base)
rl = {"prompts": 8, "responses": 8, "updates": 1, "micro_batch": 4, "max_new_tokens": 256}
if dry:
    rl |= {"prompts": 2, "responses": 4, "max_new_tokens": 8}
recipe = config.load(
    RECIPES[name],
    "paper-clevr",
    base=str(base),
    data=[{"benchmark": out / "bench", "cot": out / "chains"}],
    sft={stage: {"batch_size": 16, "micro_batch": 4} for stage in ("vm-cpt", "cot-sft")},
    rl=rl | {"policy_rollout": name == "rl-poro"},
)
stage: Any = "rl" if name.startswith("rl") else name


class Clock(TrainerCallback):  # type: ignore[misc]
    """Seconds and tokens of each update."""

    def __init__(self, trainer: Any) -> None:
        self.trainer, self.seconds, self.tokens = trainer, [], []

    def on_step_begin(self, *_: Any, **__: Any) -> None:
        self.start, self.before = time.perf_counter(), self._tokens()

    def on_step_end(self, *_: Any, **__: Any) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        self.seconds.append(time.perf_counter() - self.start)
        self.tokens.append(self._tokens() - self.before)

    def _tokens(self) -> float:
        """As in tests/bench/training_cost.py: in RL those of the scored sequences."""
        return float(
            self.trainer.state.num_input_tokens_seen if stage == "rl" else self.trainer._total_train_tokens
        )


try:
    trainer = make_trainer(recipe, stage, str(base), out / "work", Mixture(recipe.data, [stage]))
    trainer.args.max_steps, trainer.args.save_strategy = UPDATES, "no"
    clock = Clock(trainer)
    trainer.add_callback(clock)
    trainer.train()
    result = {
        "seconds_per_update": round(clock.seconds[-1], 2),
        "tokens_per_second": round(clock.tokens[-1] / clock.seconds[-1]),
        "loss_is_finite": all(
            torch.isfinite(torch.tensor(entry["loss"])).item()
            for entry in trainer.state.log_history
            if "loss" in entry
        ),
    }
except torch.OutOfMemoryError as error:
    result = {"out_of_memory": str(error).partition(". ")[0]}
if torch.cuda.is_available():
    result["peak_gib"] = round(torch.cuda.max_memory_allocated() / 2**30, 1)
result["host_gib"] = round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20, 1)
print(json.dumps(result))
