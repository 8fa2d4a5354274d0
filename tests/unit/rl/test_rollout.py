"""PolicyRollout: responses sampled with the policy are learned without it."""

from pathlib import Path
from typing import Any

import pytest
import torch
from rollouts import eval_inputs, hash_reward, make_mixture, make_trainer, next_rows, response_logps
from trl import GRPOTrainer

from harness.backends import Sampling
from harness.backends.local.hf import HuggingFace
from harness.files.benchmark import Benchmark
from training.rl.rollout import PolicyRolloutTrainer
from training.sequences.dataset import Mixture


class RecordingTrainer(PolicyRolloutTrainer):  # type: ignore[misc]
    """Records the prompts that were sampled from and the sequences that were scored."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.sampled: list[list[int]] = []
        self.scored: list[tuple[torch.Tensor, torch.Tensor, torch.Tensor]] = []

    def _generate_single_turn(self, prompt_ids: Any, *args: Any) -> Any:
        self.sampled += prompt_ids
        return super()._generate_single_turn(prompt_ids, *args)

    def _get_per_token_logps_and_entropies(
        self, model: Any, input_ids: Any, attention_mask: Any, *args: Any, **kwargs: Any
    ) -> Any:
        self.scored.append((input_ids, attention_mask, kwargs["pixel_values"]))
        return super()._get_per_token_logps_and_entropies(model, input_ids, attention_mask, *args, **kwargs)


@pytest.fixture(scope="module")
def data(visual_folder: Path) -> Mixture:
    return make_mixture(visual_folder)


@pytest.fixture(scope="module")
def scored(
    checkpoint: Path, data: Mixture, tmp_path_factory: pytest.TempPathFactory
) -> tuple[Any, list[Any], Any]:
    """A trainer, the rows of a batch of two groups of 2G = 4, and the output of TRL's method for them."""
    # TRL keeps the old log-probabilities only with several updates per batch.
    settings = {"gradient_accumulation_steps": 1, "steps_per_generation": 2}
    watched = make_trainer(checkpoint, data, tmp_path_factory.mktemp("scored"), RecordingTrainer, **settings)
    rows = next_rows(watched)
    return watched, rows, watched._generate_and_score_completions(rows)


def row_of(output: Any, name: str, place: int) -> list[int]:
    """The tokens of a row without padding; name is prompt or completion."""
    tokens: list[int] = output[f"{name}_ids"][place][output[f"{name}_mask"][place].bool()].tolist()
    return tokens


def test_the_second_half_of_each_group_is_sampled_with_the_policy(scored: Any, data: Mixture) -> None:
    watched, rows, _ = scored
    assert len(rows) == len(watched.sampled) == 8
    for place, (row, ids) in enumerate(zip(rows, watched.sampled, strict=True)):
        inputs = eval_inputs(watched, data, row, with_policy=place % 4 >= 2)
        assert ids == inputs["input_ids"][0].tolist()


def test_no_policy_token_is_scored(scored: Any, data: Mixture) -> None:
    """Neither for the old log-probabilities nor for the loss. The prompt is the one of evaluation."""
    watched, rows, output = scored
    questions = [eval_inputs(watched, data, row, with_policy=False)["input_ids"][0].tolist() for row in rows]
    policies = [eval_inputs(watched, data, row, with_policy=True)["input_ids"].shape[1] for row in rows]
    for place, (question, policy) in enumerate(zip(questions, policies, strict=True)):
        assert row_of(output, "prompt", place) == question
        assert policy > len(question)
    watched._compute_loss(watched.model, output)
    assert len(watched.scored) == 2  # for the old log-probabilities, and for the loss
    for ids, mask, _ in watched.scored:
        sequences = [row[kept.bool()].tolist() for row, kept in zip(ids, mask, strict=True)]
        assert all(any(row[: len(q)] == q for q in questions) for row in sequences)
        assert max(map(len, sequences)) <= max(map(len, questions)) + 12


def test_pixels_belong_to_the_question(scored: Any, data: Mixture) -> None:
    watched, rows, output = scored
    assert any(len(row["policy_images"]) > len(row["images"]) for row in rows)
    images = [eval_inputs(watched, data, row, with_policy=False) for row in rows]
    assert torch.equal(output["pixel_values"], torch.cat([i["pixel_values"] for i in images]))
    assert torch.equal(output["image_grid_thw"], torch.cat([i["image_grid_thw"] for i in images]))
    assert output["num_images"] == [len(row["images"]) for row in rows]


def test_old_log_probabilities_are_computed_without_the_policy(scored: Any, data: Mixture) -> None:
    watched, rows, output = scored
    with torch.no_grad():
        for place, row in enumerate(rows):
            response = row_of(output, "completion", place)
            old = output["old_per_token_logps"][place][: len(response)]
            free = response_logps(watched.model, eval_inputs(watched, data, row, with_policy=False), response)
            aware = response_logps(watched.model, eval_inputs(watched, data, row, with_policy=True), response)
            assert torch.allclose(old, free, atol=1e-5)
            assert (old - aware).abs().max() > 1e-2


def test_advantages_are_computed_over_both_halves(scored: Any) -> None:
    watched, rows, output = scored
    rewards = torch.tensor(hash_reward([row_of(output, "completion", place) for place in range(len(rows))]))
    groups = rewards.view(2, 4)
    expected = (groups - groups.mean(1, keepdim=True)) / (groups.std(1, keepdim=True) + 1e-4)
    assert torch.allclose(output["advantages"].view(2, 4), expected, atol=1e-5)
    assert output["advantages"].view(2, 4).sum(1).abs().max() < 1e-5
    assert output["advantages"].view(2, 2, 2).sum(2).abs().max() > 1e-2
    metrics = watched._metrics["train"]
    free, aware = groups.view(2, 2, 2).mean((0, 2)).tolist()
    assert metrics["reward/policy_free"][0] == pytest.approx(free)
    assert metrics["reward/policy_aware"][0] == pytest.approx(aware)
    assert metrics["reward/clevrpolicy"][0] == pytest.approx(free)
    assert metrics["groups/zero_variance"] == [0.0]


def test_without_the_policy_aware_half_it_is_plain_grpo(
    checkpoint: Path, data: Mixture, tmp_path: Path
) -> None:
    """Bit for bit, if plain GRPO has the same order and suppresses the same tokens."""
    ours = make_trainer(checkpoint, data, tmp_path / "ours", policy_rollout=False, shuffle_dataset=False)
    suppressed = {"suppress_tokens": ours.generation_config.suppress_tokens}
    plain = make_trainer(
        checkpoint, data, tmp_path / "plain", GRPOTrainer, shuffle_dataset=False, generation_kwargs=suppressed
    )
    start = {name: value.clone() for name, value in plain.model.state_dict().items()}
    for trainer in (plain, ours):
        # Each constructor sets the seed and then uses random numbers.
        torch.manual_seed(0)
        trainer.train()
    weights, theirs = ours.model.state_dict(), plain.model.state_dict()
    assert all(torch.equal(weights[name], theirs[name]) for name in theirs)
    assert any(not torch.equal(start[name], theirs[name]) for name in theirs)
    assert "reward/policy_aware" not in ours.state.log_history[0]


def test_the_same_tokens_are_suppressed_as_at_evaluation(
    checkpoint: Path, visual_folder: Path, scored: Any
) -> None:
    watched, _, output = scored
    backend = HuggingFace(str(checkpoint), Benchmark(visual_folder), Sampling())
    suppressed = backend.model.generation_config.suppress_tokens
    assert watched.generation_config.suppress_tokens == suppressed
    assert watched.generation_kwargs["suppress_tokens"] == suppressed
    names = watched._tokenizer.convert_ids_to_tokens(suppressed)
    assert {"<|image_pad|>", "<|video_pad|>", "<|vision_start|>", "<|vision_end|>"} <= set(names)
    sampled = {token for place in range(8) for token in row_of(output, "completion", place)}
    assert not sampled & set(suppressed)


def test_families_with_and_without_images_in_one_batch(
    checkpoint: Path, visual_folder: Path, rules_folder: Path, tmp_path: Path
) -> None:
    both = make_mixture(visual_folder, rules_folder)
    mixed = make_trainer(checkpoint, both, tmp_path)
    rows = both.rl_dataset()
    with_image, without = rows[0], rows[len(rows) - 1]
    assert with_image["images"] and not without["images"] and without["family"] == "gtapolicy"
    mixed.model.train()
    output = mixed._generate_and_score_completions([with_image] * 4 + [without] * 4)
    assert output["num_images"] == [1] * 4 + [0] * 4
    assert {"reward/clevrpolicy", "reward/gtapolicy"} <= set(mixed._metrics["train"])


class InstanceRecorder(PolicyRolloutTrainer):  # type: ignore[misc]
    """Records the instances of each batch, by step."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.instances: dict[int, list[str]] = {}

    def _sample_batch(self, rows: Any) -> Any:
        self.instances[self.state.global_step] = [row["instance"] for row in rows]
        return super()._sample_batch(rows)


def test_a_resumed_run_ends_with_the_same_weights(checkpoint: Path, data: Mixture, tmp_path: Path) -> None:
    """In its second epoch. A run resumed between two updates on one batch samples new responses."""
    settings = {
        "num_generations": 2,
        "per_device_train_batch_size": 2,
        "steps_per_generation": 4,
        "num_train_epochs": 2,
        "max_steps": -1,
        "save_strategy": "steps",
        "save_steps": 1,
    }
    uninterrupted = make_trainer(checkpoint, data, tmp_path, InstanceRecorder, **settings)
    uninterrupted.train()
    batches = uninterrupted.instances
    assert list(batches) == [0, 2, 4, 6] and uninterrupted.state.global_step == 8
    first, second = batches[0] + batches[2], batches[4] + batches[6]
    assert sorted(first) == sorted(second) and first != second
    again, between = (
        make_trainer(checkpoint, data, tmp_path / "again", InstanceRecorder, **settings) for _ in range(2)
    )
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-6"))
    assert again.instances == {6: batches[6]}
    weights = again.model.state_dict()
    assert all(torch.equal(weights[name], value) for name, value in uninterrupted.model.state_dict().items())
    between.train(resume_from_checkpoint=str(tmp_path / "checkpoint-5"))
    assert between.instances == {5: batches[4], 6: batches[6]}
