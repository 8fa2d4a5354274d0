"""What each of two processes runs in test_two_processes.py."""

import hashlib
import json
from pathlib import Path
from typing import Any

from rollouts import hash_reward, make_mixture, make_trainer

from training.rl.rollout import PolicyRolloutTrainer
from training.rl.rollout_batch import RolloutBatch


class RecordingTrainer(PolicyRolloutTrainer):  # type: ignore[misc]
    """Records the part of each batch that this process has."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.batches: list[dict[str, Any]] = []
        self.prompt_lengths: list[list[int]] = []

    def _generate_and_score_completions(self, inputs: Any) -> Any:
        requested = [row["instance"] for row in inputs]
        output = super()._generate_and_score_completions(inputs)
        masks, ids = output["prompt_mask"].bool(), output["prompt_ids"]
        self.batches[-1] |= {
            "requested": requested,
            "prompts": [row[mask].tolist() for row, mask in zip(ids, masks, strict=True)],
            "advantages": output["advantages"].tolist(),
            "prompt_lengths": self.prompt_lengths[0],
        }
        self.prompt_lengths.clear()
        return output

    def _generate_single_turn(self, prompt_ids: Any, *args: Any) -> Any:
        self.prompt_lengths.append([len(ids) for ids in prompt_ids])
        return super()._generate_single_turn(prompt_ids, *args)

    def _sample_batch(self, rows: Any) -> RolloutBatch:
        batch = super()._sample_batch(rows)
        instances = [row["instance"] for row in batch.rows]
        self.batches.append({"instances": instances, "rewards": batch.rewards_NF.flatten().tolist()})
        return batch


def main(checkpoint: Path, benchmark: Path, out: Path) -> None:
    mixture = make_mixture(benchmark)
    names = list(mixture.instances[0])

    def reward(completion_ids: Any, instance: list[str], **_: Any) -> list[float]:
        """Makes every response to every other instance wrong."""
        values = hash_reward(completion_ids)
        return [
            0.0 if name in names[::2] else (place + value) / 8
            for place, (value, name) in enumerate(zip(values, instance, strict=True))
        ]

    trainer = make_trainer(
        checkpoint,
        mixture,
        out / "run",
        RecordingTrainer,
        reward=reward,
        tries=20,
        # 2 x 2 x 3 rows per batch in three groups of 4, of which the second one spans both processes.
        per_device_train_batch_size=2,
        gradient_accumulation_steps=3,
        max_steps=2,
        ddp_backend="gloo",
    )
    trainer.train()
    weights = hashlib.sha256()
    for value in trainer.model.state_dict().values():
        weights.update(value.numpy().tobytes())
    result = {"weights": weights.hexdigest(), "batches": trainer.batches, "log": trainer.state.log_history}
    path = out / f"{trainer.accelerator.process_index}.json"
    path.write_text(json.dumps(result), encoding="utf-8")
