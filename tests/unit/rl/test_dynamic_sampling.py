"""Groups without reward variance are replaced, and training ends if no replacement is found."""

from collections.abc import Callable
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rollouts import eval_inputs, hash_reward, make_mixture, make_trainer, next_rows

from harness.errors import UserError
from training.dataset import Mixture
from training.rl import rollout
from training.rl.dynamic_sampling import groups_to_sample, groups_with_variance, replacement_prompts

Make = Callable[..., Any]
# Many updates with short responses.
ONE_TOKEN = {"max_completion_length": 1, "num_train_epochs": 30, "max_steps": -1}


def constant_reward(names: set[str], value: float = 0.0) -> Callable[..., list[float]]:
    """A reward that is `value` for all responses to these instances, and varies for the others."""

    def reward(completion_ids: list[list[int]], instance: list[str], **_: Any) -> list[float]:
        # Two responses may have the same hash, so add their position.
        hashes = hash_reward(completion_ids)
        return [
            value if name in names else (hashed + place % 7) / 8
            for place, (hashed, name) in enumerate(zip(hashes, instance, strict=True))
        ]

    return reward


@pytest.fixture(scope="module")
def data(text_folder: Path) -> Mixture:
    return make_mixture(text_folder)


@pytest.fixture(scope="module")
def names(data: Mixture) -> list[str]:
    return list(data.instances[0])


@pytest.fixture
def make(checkpoint: Path, data: Mixture, tmp_path: Path) -> Make:
    return partial(make_trainer, checkpoint, data, tmp_path)


def logged(trainer: Any, name: str) -> list[float]:
    return [entry[name] for entry in trainer.state.log_history if name in entry]


@given(st.lists(st.lists(st.sampled_from([0.0, 0.1, 0.9, 1.0]), min_size=4, max_size=4), min_size=1))
def test_a_group_varies_if_two_rewards_differ(groups: list[list[float]]) -> None:
    varied = groups_with_variance(torch.tensor(groups).flatten(), 4)
    assert varied.tolist() == [len(set(group)) > 1 for group in groups]


@given(st.integers(1, 50), st.integers(1, 32), st.integers(1, 16))
def test_all_processes_sample_the_same_number_of_responses(missing: int, size: int, processes: int) -> None:
    groups = groups_to_sample(missing, size, processes)
    assert groups >= missing and groups * size % processes == 0
    assert groups - missing < processes


def test_each_step_has_its_own_order_of_replacement_prompts() -> None:
    first, again = (list(islice(replacement_prompts(3, 5, 10), 25)) for _ in range(2))
    assert first == again
    assert sorted(first[:10]) == sorted(first[10:20]) == list(range(10)) and first[:10] != first[10:20]
    assert list(islice(replacement_prompts(3, 6, 10), 10)) != first[:10]
    assert list(islice(replacement_prompts(4, 5, 10), 10)) != first[:10]


class BatchRecorder(rollout.PolicyRolloutTrainer):  # type: ignore[misc]
    """Records the last batch."""

    batch: rollout.RolloutBatch

    def _sample_batch(self, rows: Any) -> Any:
        self.batch = super()._sample_batch(rows)
        return self.batch


def test_groups_without_variance_are_replaced_in_place(
    checkpoint: Path, visual_folder: Path, tmp_path: Path
) -> None:
    data = make_mixture(visual_folder)
    names = list(data.instances[0])
    reward = constant_reward(set(names[::2]))

    def sample_batch() -> tuple[Any, Any]:
        settings = {"reward": reward, "retries": 20, "gradient_accumulation_steps": 4}
        trainer = make_trainer(checkpoint, data, tmp_path, BatchRecorder, **settings)
        trainer.model.train()
        rows = [trainer.train_dataset[i] for i in range(4) for _ in range(4)]
        return trainer, trainer._generate_and_score_completions(rows)

    trainer, output = sample_batch()
    advantages = output["advantages"].view(4, 4)
    assert (advantages.abs().amax(1) > 0.1).all()
    assert advantages.sum(1).abs().max() < 1e-4
    metrics = trainer._metrics["train"]
    assert metrics["groups/zero_variance"] == [0.5] and metrics["frac_reward_zero_std"] == [0.0]
    (tries,) = metrics["dynamic_sampling/retries"]
    assert 1 <= tries <= 20
    instances = [row["instance"] for row in trainer.batch.rows]
    # Groups that varied are unchanged. The others are replaced by prompts that vary.
    assert instances[4:8] == [names[1]] * 4 and instances[12:] == [names[3]] * 4
    assert set(instances[:4]) | set(instances[8:12]) <= set(names[1::2])
    assert len(set(instances[:4])) == len(set(instances[8:12])) == 1
    # The tokens and images that are scored belong to the new rows.
    own = [eval_inputs(trainer, data, row, with_policy=False) for row in trainer.batch.rows]
    for ids, mask, question in zip(output["prompt_ids"], output["prompt_mask"], own, strict=True):
        assert torch.equal(ids[mask.bool()], question["input_ids"][0])
    assert torch.equal(output["pixel_values"], torch.cat([question["pixel_values"] for question in own]))
    # The same seed and step sample the same prompts again.
    _, again = sample_batch()
    assert all(torch.equal(output[n], again[n]) for n in ("prompt_ids", "completion_ids", "advantages"))


def test_training_ends_early_when_no_batch_can_be_filled(make: Make, names: list[str]) -> None:
    """After the step, because its other groups can still be learned from."""
    trainer = make(reward=constant_reward(set(names[1:])), retries=2, max_steps=5, num_train_epochs=5)
    trainer._sample_batch = _with_first_instance(trainer, trainer._sample_batch)
    trainer.train()
    assert trainer.state.global_step == 1
    assert trainer.stop_reason == "step 1: after 2 retries the rewards of 1 of 2 groups do not differ"
    assert logged(trainer, "dynamic_sampling/retries") == [2.0]


def _with_first_instance(trainer: Any, sample_batch: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Starts each batch with the first instance."""
    return lambda rows: sample_batch([trainer.train_dataset[0]] * 4 + rows[4:])


@pytest.mark.parametrize("retries", [0, 2, 20])
def test_no_variance_from_the_start_is_an_error_with_advice(
    make: Make, names: list[str], retries: int
) -> None:
    trainer = make(reward=constant_reward(set(names)), retries=retries, **ONE_TOKEN)
    batches = 1 + retries if retries else rollout.PATIENCE
    message = rf"in {batches} batches no group's rewards differed .* 0\.00\); start"
    with pytest.raises(UserError, match=message):
        trainer.train()
    assert trainer.state.global_step == (0 if retries else rollout.PATIENCE - 1)


def test_a_task_that_is_learned_ends_training_quietly(make: Make, names: list[str]) -> None:
    """If rewards differed before and no longer do, the user made no mistake."""
    calls = []

    def learned(**columns: Any) -> list[float]:
        calls.append(1)
        return constant_reward(set(names) if len(calls) > 1 else set(), value=1.0)(**columns)

    trainer = make(reward=learned, **ONE_TOKEN)
    trainer.train()
    assert trainer.state.global_step == 1 + rollout.PATIENCE
    assert trainer.stop_reason == "step 21: in 20 batches no group's rewards differed (mean reward 1.00)"
    assert logged(trainer, "groups/zero_variance") == [0.0] + [1.0] * 20
    assert not logged(trainer, "dynamic_sampling/retries")


def test_without_retries_nothing_is_replaced(make: Make, names: list[str]) -> None:
    trainer = make(reward=constant_reward(set(names)))
    rows = next_rows(trainer)
    instances = [row["instance"] for row in rows]
    batch = trainer._sample_batch(rows)
    assert [row["instance"] for row in batch.rows] == instances
