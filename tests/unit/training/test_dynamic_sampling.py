"""Groups without reward variance: replaced by others, and the end of training where none are found."""

from __future__ import annotations

from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from rollouts import batch, lottery, mixture, read, trainer

from harness.errors import UserError
from training.dataset import Mixture
from training.rl import rollout
from training.rl.dynamic_sampling import fresh_prompts, groups_to_sample, varied


def dull(names: set[str], value: float = 0.0) -> Callable[..., list[float]]:
    """A reward that is the same for all responses to these instances."""

    def reward(completion_ids: list[list[int]], instance: list[str], **_: Any) -> list[float]:
        # Two responses may have one number; the place keeps them apart.
        return [
            value if name in names else (won + place % 7) / 8
            for place, (won, name) in enumerate(zip(lottery(completion_ids), instance, strict=True))
        ]

    return reward


@pytest.fixture(scope="module")
def data(text_folder: Path) -> Mixture:
    return mixture(text_folder)


@pytest.fixture(scope="module")
def names(data: Mixture) -> list[str]:
    return list(data.instances[0])


def logged(made: Any, name: str) -> list[float]:
    return [entry[name] for entry in made.state.log_history if name in entry]


@given(st.lists(st.lists(st.sampled_from([0.0, 0.1, 0.9, 1.0]), min_size=4, max_size=4), min_size=1))
def test_a_group_varies_when_two_rewards_differ(groups: list[list[float]]) -> None:
    found = varied(torch.tensor(groups).flatten(), 4)
    assert found.tolist() == [len(set(group)) > 1 for group in groups]


@given(st.integers(1, 50), st.integers(1, 32), st.integers(1, 16))
def test_every_process_samples_as_much_as_any_other(missing: int, size: int, processes: int) -> None:
    groups = groups_to_sample(missing, size, processes)
    assert groups >= missing and groups * size % processes == 0
    assert groups - missing < processes


def test_prompts_come_in_an_order_of_their_own_each_step() -> None:
    first, again = (list(islice(fresh_prompts(3, 5, 10), 25)) for _ in range(2))
    assert first == again
    assert sorted(first[:10]) == sorted(first[10:20]) == list(range(10)) and first[:10] != first[10:20]
    assert list(islice(fresh_prompts(3, 6, 10), 10)) != first[:10]
    assert list(islice(fresh_prompts(4, 5, 10), 10)) != first[:10]


class Kept(rollout.PolicyRolloutTrainer):  # type: ignore[misc]
    """Keeps the last batch that was drawn."""

    kept: rollout.Drawn

    def _draw(self, rows: Any) -> Any:
        self.kept = super()._draw(rows)
        return self.kept


def test_dull_groups_are_replaced_in_their_places(
    checkpoint: Path, visual_folder: Path, tmp_path: Path
) -> None:
    data = mixture(visual_folder)
    names = list(data.instances[0])
    reward = dull(set(names[::2]))

    def fill() -> tuple[Any, Any]:
        made = trainer(
            checkpoint, data, tmp_path, Kept, reward=reward, retries=20, gradient_accumulation_steps=4
        )
        made.model.train()
        rows = [made.train_dataset[i] for i in range(4) for _ in range(4)]
        return made, made._generate_and_score_completions(rows)

    made, output = fill()
    advantages = output["advantages"].view(4, 4)
    assert (advantages.abs().amax(1) > 0.1).all()
    assert advantages.sum(1).abs().max() < 1e-4
    metrics = made._metrics["train"]
    assert metrics["groups/zero_variance"] == [0.5] and metrics["frac_reward_zero_std"] == [0.0]
    (tries,) = metrics["dynamic_sampling/retries"]
    assert 1 <= tries <= 20
    asked = [row["instance"] for row in made.kept.rows]
    # Groups that varied stay where they were; in the others' places stand prompts that vary.
    assert asked[4:8] == [names[1]] * 4 and asked[12:] == [names[3]] * 4
    assert set(asked[:4]) | set(asked[8:12]) <= set(names[1::2])
    assert len(set(asked[:4])) == len(set(asked[8:12])) == 1
    # What is scored are the new rows' own tokens and pictures.
    own = [read(made, data, row, shown=False) for row in made.kept.rows]
    for ids, mask, question in zip(output["prompt_ids"], output["prompt_mask"], own, strict=True):
        assert torch.equal(ids[mask.bool()], question["input_ids"][0])
    assert torch.equal(output["pixel_values"], torch.cat([question["pixel_values"] for question in own]))
    # The same seed and step draw the same prompts again.
    _, again = fill()
    assert all(torch.equal(output[n], again[n]) for n in ("prompt_ids", "completion_ids", "advantages"))


def test_training_ends_early_when_no_batch_can_be_filled(
    checkpoint: Path, data: Mixture, names: list[str], tmp_path: Path
) -> None:
    """After the step, whose other groups still teach."""
    reward = dull(set(names[1:]))
    made = trainer(checkpoint, data, tmp_path, reward=reward, retries=2, max_steps=5, num_train_epochs=5)
    made._draw = _with_first(made, made._draw)
    made.train()
    assert made.state.global_step == 1
    assert made.stopped == "step 1: after 2 retries the rewards of 1 of 2 groups do not differ"
    assert logged(made, "dynamic_sampling/retries") == [2.0]


def _with_first(made: Any, draw: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Begins each batch with the first instance."""
    return lambda rows: draw([made.train_dataset[0]] * 4 + rows[4:])


@pytest.mark.parametrize("retries", [0, 2, 20])
def test_no_variance_from_the_start_is_an_error_that_says_what_to_change(
    checkpoint: Path, data: Mixture, names: list[str], tmp_path: Path, retries: int
) -> None:
    settings = {"max_completion_length": 1, "num_train_epochs": 30, "max_steps": -1}
    made = trainer(checkpoint, data, tmp_path, reward=dull(set(names)), retries=retries, **settings)
    batches = 1 + retries if retries else rollout.PATIENCE
    with pytest.raises(
        UserError, match=rf"in {batches} batches no group's rewards differed .* 0\.00\); start"
    ):
        made.train()
    assert made.state.global_step == (0 if retries else rollout.PATIENCE - 1)


def test_a_task_that_is_learned_ends_training_quietly(
    checkpoint: Path, data: Mixture, names: list[str], tmp_path: Path
) -> None:
    """Rewards that differed once and are all the same since are no mistake of the user's."""
    calls = []

    def learned(**columns: Any) -> list[float]:
        calls.append(1)
        return dull(set(names) if len(calls) > 1 else set(), value=1.0)(**columns)

    settings = {"max_completion_length": 1, "num_train_epochs": 30, "max_steps": -1}
    made = trainer(checkpoint, data, tmp_path, reward=learned, **settings)
    made.train()
    assert made.state.global_step == 1 + rollout.PATIENCE
    assert made.stopped == "step 21: in 20 batches no group's rewards differed (mean reward 1.00)"
    assert logged(made, "groups/zero_variance") == [0.0] + [1.0] * 20
    assert not logged(made, "dynamic_sampling/retries")


def test_without_retries_nothing_is_replaced(
    checkpoint: Path, data: Mixture, names: list[str], tmp_path: Path
) -> None:
    made = trainer(checkpoint, data, tmp_path, reward=dull(set(names)))
    rows = batch(made)
    asked = [row["instance"] for row in rows]
    drawn = made._draw(rows)
    assert [row["instance"] for row in drawn.rows] == asked
