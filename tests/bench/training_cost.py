"""What a stage costs next to TRL used plainly on the same rows: seconds a step, tokens a second, memory.

    python tests/bench/training_cost.py CHECKPOINT BENCHMARK COT [ROUNDS]

Each figure is of a process of its own, the two taking turns, so that what else the machine does meets both;
without a GPU, seconds are those that the processor worked.
Rows are looked up and pictures read while training on our side, as always, and lie in memory on TRL's.
PolicyRollout stands against GRPO with the same number of responses.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from statistics import median
from typing import Any

STAGES = ("vm-cpt", "cot-sft", "rl")
STEPS, SKIPPED = {"vm-cpt": 12, "cot-sft": 20, "rl": 6}, 2
RECIPE = {"vm-cpt": "vm-cpt-cot-sft", "cot-sft": "cot-sft", "rl": "rl-from-base"}
RL = {"prompts": 4, "responses": 8, "micro_batch": 32, "max_new_tokens": 256, "policy_rollout": True}
TARGET = {"vm-cpt": 1.05, "cot-sft": 1.05, "rl": 1.25}
MEMORY = 1.1


def measure(stage: str, plain: bool, checkpoint: str, benchmark: str, cot: str) -> dict[str, float]:
    """Trains a few steps; median seconds a step, tokens a second, peak memory in MiB."""
    import torch
    from transformers import TrainerCallback

    from training import config
    from training.dataset import KINDS, Mixture
    from training.stages import _trainer

    seconds: list[float] = []
    now = time.perf_counter if torch.cuda.is_available() else time.process_time

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.began = now()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            seconds.append(now() - self.began)

    recipe = config.load(
        RECIPE[stage],
        "tiny",
        base=checkpoint,
        data=[{"benchmark": benchmark, "cot": cot}],
        rl=RL,
        save_steps=1000,
    )
    mixture = Mixture(recipe.data, reasoned=stage != "rl" and KINDS[stage].reasoned)
    with tempfile.TemporaryDirectory() as work:
        make = _plain if plain else _trainer
        trainer = make(recipe, stage, checkpoint, Path(work), mixture)
        trainer.add_callback(Clock())
        trainer.args.max_steps = STEPS[stage]
        trainer.args.save_strategy = "no"
        trainer.train()
    kept = seconds[SKIPPED:]
    tokens = trainer._total_train_tokens if stage != "rl" else trainer.state.num_input_tokens_seen
    return {
        "seconds": median(kept),
        "tokens": tokens / STEPS[stage] / median(kept),
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _plain(recipe: Any, stage: str, checkpoint: str, work: Path, mixture: Any) -> Any:
    """TRL as its own examples use it."""
    from datasets import Dataset
    from trl import GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer

    from training import stages
    from training.rl import rewards
    from training.rl import trainer as rl
    from training.stages import CPU, load_checkpoint

    model, processor = load_checkpoint(checkpoint, CPU)
    shared = stages.common(recipe, work)
    if stage == "rl":
        rows = mixture.rollouts()
        columns = ("prompt", "images", "instance", "benchmark")
        held = [{name: rows[i][name] for name in columns} for i in range(len(rows))]
        return GRPOTrainer(
            model=model,
            args=GRPOConfig(**shared, **rl._arguments(recipe.rl)),
            processing_class=processor,
            train_dataset=Dataset.from_list(held),
            reward_funcs=rewards.functions(mixture.benchmarks, "train"),
        )
    rows = mixture.supervised(stage)
    held = [{name: rows[i][name] for name in ("prompt", "completion", "images")} for i in range(len(rows))]
    settings = stages._supervised(recipe.sft[stage])
    return SFTTrainer(
        model=model,
        args=SFTConfig(**shared, **settings, max_length=None, completion_only_loss=stage != "vm-cpt"),
        processing_class=processor,
        train_dataset=Dataset.from_list(held),
    )


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        stage, plain, *where = sys.argv[2:]
        print(json.dumps(measure(stage, plain == "plain", *where)))
        return
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    where, rounds = sys.argv[1:4], int(sys.argv[4]) if len(sys.argv) == 5 else 3
    print(f"{'stage':8} {'whose':6} {'s/step':>8} {'tokens/s':>9} {'MiB':>7}")
    for stage in STAGES:
        found: dict[str, list[dict[str, float]]] = {"plain": [], "ours": []}
        for _ in range(rounds):
            for whose in found:
                command = [sys.executable, __file__, "--one", stage, whose, *where]
                done = subprocess.run(command, capture_output=True, text=True, check=True)
                found[whose].append(json.loads(done.stdout.splitlines()[-1]))
        best = {
            whose: {name: median(one[name] for one in runs) for name in runs[0]}
            for whose, runs in found.items()
        }
        for whose, figures in best.items():
            print(f"{stage:8} {whose:6}", "{seconds:8.3f} {tokens:9.0f} {memory:7.0f}".format(**figures))
        time_ratio, memory_ratio = (best["ours"][n] / best["plain"][n] for n in ("seconds", "memory"))
        within = (
            f"{time_ratio:8.3f} of at most {TARGET[stage]}, memory {memory_ratio:.3f} of at most {MEMORY}"
        )
        print(f"{stage:8} ratio  {within}", flush=True)


if __name__ == "__main__":
    main()
