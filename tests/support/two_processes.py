"""What each of two processes runs in test_two_processes.py: CHECKPOINT BENCHMARK OUT, under torchrun."""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path
from typing import Any

from rollouts import lottery, mixture, trainer

from training.rl.rollout import Drawn, PolicyRolloutTrainer


class Kept(PolicyRolloutTrainer):  # type: ignore[misc]
    """Keeps what this process was given of each batch."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.kept: list[dict[str, Any]] = []
        self.sampled: list[list[int]] = []

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        asked = [row["instance"] for row in inputs]
        output = super()._generate_and_score_completions(inputs)
        masks, ids = output["prompt_mask"].bool(), output["prompt_ids"]
        self.kept[-1] |= {
            "asked": asked,
            "prompts": [row[mask].tolist() for row, mask in zip(ids, masks, strict=True)],
            "advantages": output["advantages"].tolist(),
            "sampled": self.sampled[0],
        }
        self.sampled.clear()
        return output

    def _generate_single_turn(self, prompt_ids: Any, *rest: Any, **named: Any) -> Any:
        self.sampled.append([len(ids) for ids in prompt_ids])
        return super()._generate_single_turn(prompt_ids, *rest, **named)

    def _draw(self, rows: Any) -> Drawn:
        drawn = super()._draw(rows)
        self.kept.append(
            {
                "instances": [row["instance"] for row in drawn.rows],
                "rewards": drawn.rewards.flatten().tolist(),
            }
        )
        return drawn


def main(checkpoint: Path, benchmark: Path, out: Path) -> None:
    data = mixture(benchmark)
    names = list(data.instances[0])

    def reward(completion_ids: Any, instance: list[str], **_: Any) -> list[float]:
        """Every other instance teaches nothing."""
        won = lottery(completion_ids)
        return [
            0.0 if name in names[::2] else n + i
            for i, (n, name) in enumerate(zip(won, instance, strict=True))
        ]

    made = trainer(
        checkpoint,
        data,
        out / "run",
        Kept,
        reward=reward,
        retries=20,
        # 2 x 2 x 3 rows a batch in three groups of 4, of which the second one spans both processes.
        per_device_train_batch_size=2,
        gradient_accumulation_steps=3,
        max_steps=2,
        ddp_backend="gloo",
    )
    made.train()
    weights = hashlib.sha256()
    for value in made.model.state_dict().values():
        weights.update(value.numpy().tobytes())
    found = {"weights": weights.hexdigest(), "batches": made.kept, "log": made.state.log_history}
    path = out / f"{made.accelerator.process_index}.json"
    path.write_text(json.dumps(found), encoding="utf-8")


if __name__ == "__main__":
    main(*map(Path, sys.argv[1:]))
