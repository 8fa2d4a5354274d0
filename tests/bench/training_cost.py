"""Cost of a stage compared with plain TRL on the same rows: seconds per step, tokens per second, memory.

    python tests/bench/training_cost.py CHECKPOINT BENCHMARK COT [ROUNDS]

Each measurement is a separate process, and the two sides alternate, so that other load on the machine affects
both. Without a GPU, seconds are processor time. Our side loads rows and images while it trains, as always;
the rows of plain TRL are in memory. PolicyRollout is compared with GRPO with the same number of responses.
"""

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
STEPS, WARM_UP_STEPS = {"vm-cpt": 12, "cot-sft": 20, "rl": 6}, 2
RECIPE = {"vm-cpt": "vm-cpt-cot-sft", "cot-sft": "cot-sft", "rl": "rl-from-base"}
RL = {"prompts": 4, "responses": 8, "micro_batch": 32, "max_new_tokens": 256}
RL_SIDES = {
    "ours": {"policy_rollout": True},
    "opcd": {"algorithm": "dapo", "teacher": {"method": "opcd", "divergence": "forward"}},
}
# The largest acceptable ratios of time and of memory.
MAX_TIME_RATIO = {"vm-cpt": 1.05, "cot-sft": 1.05, "rl": 1.25}
MAX_MEMORY_RATIO = 1.1


def measure(stage: str, side: str, checkpoint: str, benchmark: str, cot: str) -> dict[str, float]:
    """Trains a few steps. Returns median seconds per step, tokens per second and peak memory in MiB.

    The side is plain for TRL's trainer, or ours. For rl, ours has PolicyRollout; the side may also be grpo
    without it, or opcd, whose teacher is the checkpoint.
    """
    import torch
    from transformers import TrainerCallback

    from training import config
    from training.sequences.dataset import Mixture
    from training.stages import make_trainer

    seconds: list[float] = []
    now = time.perf_counter if torch.cuda.is_available() else time.process_time

    class Clock(TrainerCallback):  # type: ignore[misc]
        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.started = now()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            seconds.append(now() - self.started)

    recipe = config.load(
        RECIPE[stage],
        "tiny",
        base=checkpoint,
        data=[{"benchmark": benchmark, "cot": cot or None}],
        rl=RL | RL_SIDES.get(side, {}),
        save_steps=1000,
    )
    mixture = Mixture(recipe.data, [stage])
    with tempfile.TemporaryDirectory() as work:
        make = plain_trainer if side == "plain" else make_trainer
        trainer = make(recipe, stage, checkpoint, Path(work), mixture)
        trainer.add_callback(Clock())
        trainer.args.max_steps = STEPS[stage]
        trainer.args.save_strategy = "no"
        trainer.train()
    step_seconds = median(seconds[WARM_UP_STEPS:])
    tokens = trainer._total_train_tokens if stage != "rl" else trainer.state.num_input_tokens_seen
    return {
        "seconds": step_seconds,
        "tokens": tokens / STEPS[stage] / step_seconds,
        "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def in_a_process(*arguments: str) -> dict[str, float]:
    """The result of `measure`."""
    command = [sys.executable, __file__, "--one", *arguments]
    process = subprocess.run(command, capture_output=True, text=True, check=True)
    result: dict[str, float] = json.loads(process.stdout.splitlines()[-1])
    return result


def plain_trainer(recipe: Any, stage: str, checkpoint: str, work: Path, mixture: Any) -> Any:
    """A TRL trainer as TRL's own examples use it."""
    from datasets import Dataset
    from trl import GRPOTrainer, SFTConfig, SFTTrainer

    from training import stages
    from training.checkpoints.parent import load_parent
    from training.rl import rewards
    from training.rl import trainer as rl

    model, processor = load_parent(recipe, checkpoint)
    shared = stages.trainer_arguments(recipe, work)
    if stage == "rl":
        rows = mixture.rl_dataset()
        columns = ("prompt", "images", "instance", "benchmark")
        in_memory = [{name: rows[i][name] for name in columns} for i in range(len(rows))]
        return GRPOTrainer(
            model=model,
            args=rl.rl_config(recipe.rl, shared),
            processing_class=processor,
            train_dataset=Dataset.from_list(in_memory),
            reward_funcs=rewards.reward_functions(mixture.benchmarks, "train"),
        )
    rows = mixture.sft_dataset(stage)
    columns = ("prompt", "completion", "images")
    in_memory = [{name: rows[i][name] for name in columns} for i in range(len(rows))]
    settings = stages.sft_arguments(recipe.sft[stage])
    return SFTTrainer(
        model=model,
        args=SFTConfig(**shared, **settings, max_length=None, completion_only_loss=stage != "vm-cpt"),
        processing_class=processor,
        train_dataset=Dataset.from_list(in_memory),
    )


def main() -> None:
    if sys.argv[1:2] == ["--one"]:
        print(json.dumps(measure(*sys.argv[2:])))
        return
    if len(sys.argv) not in (4, 5):
        sys.exit(__doc__)
    where, rounds = sys.argv[1:4], int(sys.argv[4]) if len(sys.argv) == 5 else 3
    print(f"{'stage':8} {'side':6} {'s/step':>8} {'tokens/s':>9} {'MiB':>7}")
    for stage in STAGES:
        measured: dict[str, list[dict[str, float]]] = {"plain": [], "ours": []}
        for _ in range(rounds):
            for side in measured:
                measured[side].append(in_a_process(stage, side, *where))
        medians = {
            side: {name: median(one[name] for one in runs) for name in runs[0]}
            for side, runs in measured.items()
        }
        for side, values in medians.items():
            print(f"{stage:8} {side:6}", "{seconds:8.3f} {tokens:9.0f} {memory:7.0f}".format(**values))
        time_ratio, memory_ratio = (medians["ours"][n] / medians["plain"][n] for n in ("seconds", "memory"))
        print(
            f"{stage:8} ratio  {time_ratio:8.3f} of at most {MAX_TIME_RATIO[stage]}, "
            f"memory {memory_ratio:.3f} of at most {MAX_MEMORY_RATIO}",
            flush=True,
        )


if __name__ == "__main__":
    main()
