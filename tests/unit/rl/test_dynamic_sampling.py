"""Groups that are all right or all wrong are replaced; training ends if a batch cannot be filled."""

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
from harness.seeds import rng
from training.rl import rollout
from training.rl.dynamic_sampling import (
    BatchFiller,
    groups_with_variance,
    replacement_prompts,
    useful_groups,
)
from training.sequences.dataset import Mixture

Make = Callable[..., Any]
NAN = float("nan")
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


@pytest.mark.parametrize(
    ("accuracy", "rewards", "useful"),
    [
        ([0.0, 0.0, 1.0, 0.0], [0.1, 0.1, 1.0, 0.1], True),
        # Only the format differs.
        ([0.0, 0.0, 0.0, 0.0], [0.0, 0.1, 0.1, 0.0], False),
        ([1.0, 1.0, 1.0, 1.0], [1.0, 0.9, 1.0, 1.0], False),
        # The right tool with wrong arguments, every time.
        ([0.5, 0.5, 0.5, 0.5], [0.55, 0.55, 0.55, 0.55], False),
        # Two responses could not be graded.
        ([NAN, 1.0, NAN, 0.0], [NAN, 1.0, NAN, 0.1], True),
        ([NAN, 1.0, NAN, 1.0], [NAN, 1.0, NAN, 0.9], False),
        ([NAN] * 4, [NAN] * 4, False),
    ],
)
def test_a_group_is_useful_by_its_accuracy(accuracy: list[float], rewards: list[float], useful: bool) -> None:
    assert useful_groups(torch.tensor(accuracy), torch.tensor(rewards), 4).tolist() == [useful]


TRIES = st.lists(st.lists(st.booleans(), min_size=6, max_size=6), min_size=1, max_size=8)


@given(TRIES, st.integers(1, 8))
def test_places_are_filled_in_the_order_of_sampling(tries: list[list[bool]], max_tries: int) -> None:
    filler = BatchFiller(tries[0], max_tries)
    source = {place: (0, place) for place, useful in enumerate(tries[0]) if useful}
    for number, useful in enumerate(tries[1:], start=1):
        if filler.needs_another_try():
            source |= {place: (number, group) for place, group in filler.fill(useful)}
    # All useful groups in the order of sampling; what does not fit is dropped.
    sampled = [
        (i, group) for i, try_ in enumerate(tries[: filler.tries]) for group in range(6) if try_[group]
    ]
    assert sorted(source.values()) == sampled[:6]
    assert filler.empty == [place for place in range(6) if place not in source]
    later = [source[place] for place in sorted(source) if source[place][0] > 0]
    assert later == sorted(later)
    assert filler.tries <= max_tries


@pytest.mark.parametrize(("share", "tries", "full"), [(0.2, 20, 1.0), (0.06, 20, 1.0), (0.03, 20, 0.0)])
def test_steps_at_the_scale_of_the_paper_are_filled(share: float, tries: int, full: float) -> None:
    """384 prompts a batch. Sampling only as many groups as are missing filled 3 % of the steps at 20 %."""
    generator, filled, steps = rng(0, "simulation", share), 0, 50

    def sample() -> list[bool]:
        return [generator.random() < share for _ in range(384)]

    for _ in range(steps):
        filler = BatchFiller(sample(), tries)
        while filler.needs_another_try():
            filler.fill(sample())
        filled += not filler.empty
    assert filled / steps == full


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


def test_groups_that_are_not_useful_are_replaced_in_place(
    checkpoint: Path, visual_folder: Path, tmp_path: Path
) -> None:
    data = make_mixture(visual_folder)
    names = list(data.instances[0])
    reward = constant_reward(set(names[::2]))

    def sample_batch() -> tuple[Any, Any]:
        settings = {"reward": reward, "tries": 20, "gradient_accumulation_steps": 4}
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
    (tries,) = metrics["dynamic_sampling/tries"]
    assert 2 <= tries <= 20 and metrics["dynamic_sampling/incomplete"] == [0.0]
    instances = [row["instance"] for row in trainer.batch.rows]
    # Useful groups keep their places. The others are replaced.
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


@pytest.mark.parametrize("updates", [1, 2])
def test_training_ends_after_a_batch_that_cannot_be_filled(
    make: Make, names: list[str], updates: int
) -> None:
    """After all updates on the batch, because its other groups can still be learned from."""
    settings = {"steps_per_generation": 2 * updates, "max_steps": 5, "num_train_epochs": 5}
    trainer = make(reward=constant_reward(set(names[1:])), tries=2, **settings)
    # Only the first instance is useful. It is the first group of each batch and in no other try.
    sample_batch, (useful, useless) = trainer._sample_batch, (trainer.train_dataset[i] for i in range(2))
    trainer._sample_batch = lambda rows: sample_batch([useful] * 4 + [useless] * (len(rows) - 4))
    trainer._replace_groups = partial(_replace_by_useless, trainer._replace_groups)
    trainer.train()
    assert trainer.state.global_step == updates
    groups = 2 * updates
    assert trainer.stop_reason.startswith(f"step 1: after 2 tries the batch has 1 of {groups} useful groups")
    assert logged(trainer, "dynamic_sampling/tries") == [2.0]
    assert logged(trainer, "dynamic_sampling/incomplete") == [1.0]


def _replace_by_useless(replace: Callable[..., None], batch: Any, filler: BatchFiller, indices: Any) -> None:
    replace(batch, filler, [1] * len(indices))


def test_no_variance_from_the_start_is_an_error_with_advice(make: Make, names: list[str]) -> None:
    trainer = make(reward=constant_reward(set(names)), **ONE_TOKEN)
    message = rf"in {rollout.PATIENCE} batches no group's rewards differed \(mean reward 0\.00\); start"
    with pytest.raises(UserError, match=message):
        trainer.train()
    assert trainer.state.global_step == rollout.PATIENCE - 1


@pytest.mark.parametrize("tries", [1, 3])
def test_no_useful_group_from_the_start_is_an_error_with_advice(
    make: Make, names: list[str], tries: int
) -> None:
    trainer = make(reward=constant_reward(set(names), value=1.0), tries=tries, **ONE_TOKEN)
    message = rf"after {tries} tries the batch has 0 of 2 useful groups \(mean reward 1\.00\); start"
    with pytest.raises(UserError, match=message):
        trainer.train()
    assert trainer.state.global_step == 0


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
    assert not logged(trainer, "dynamic_sampling/tries")


def test_without_tries_nothing_is_replaced(make: Make, names: list[str]) -> None:
    trainer = make(reward=constant_reward(set(names)))
    rows = next_rows(trainer)
    instances = [row["instance"] for row in rows]
    batch = trainer._sample_batch(rows)
    assert [row["instance"] for row in batch.rows] == instances
