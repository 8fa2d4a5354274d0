"""Settings of a recipe's RL as TRL uses them, and what plain GRPO and several processes do without."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from rollouts import make_mixture, next_rows
from trl.trainer import grpo_trainer

from harness.backends.local.checkpoint import load_checkpoint
from harness.files.benchmark import Benchmark
from training import config
from training.rl import rollout
from training.rl.trainer import make_rl_trainer, rl_config
from training.stages import trainer_arguments

SMALL = {"prompts": 2, "responses": 4, "micro_batch": 4, "max_new_tokens": 12}
Make = Callable[..., Any]


def load(base: Path, folder: Path, **settings: Any) -> config.Recipe:
    data = [{"benchmark": folder}]
    return config.load("rl-from-base", "tiny", base=str(base), data=data, rl=SMALL | settings)


@pytest.fixture
def make(checkpoint: Path, visual_folder: Path, tmp_path: Path) -> Make:
    """Makes the trainer of `trimpi train`."""

    def make(**settings: Any) -> Any:
        recipe = load(checkpoint, visual_folder, **settings)
        model, processor = load_checkpoint(str(checkpoint), torch.device("cpu"))
        assert recipe.rl is not None
        shared = trainer_arguments(recipe, tmp_path)
        return make_rl_trainer(
            recipe.rl, model.float(), processor, make_mixture(visual_folder), shared, recipe.base
        )

    return make


def sampled(trainer: Any) -> Any:
    return trainer._generate_and_score_completions(next_rows(trainer))


def test_settings_reach_trl(tmp_path: Path) -> None:
    settings = {"dual_clip": 3.0, "top_p": 0.9, "weight_decay": 0.01, "overlong": "mask"}
    recipe = load(tmp_path, tmp_path, **settings)
    assert recipe.rl is not None
    made = rl_config(recipe.rl, trainer_arguments(recipe, tmp_path))
    assert (made.delta, made.top_p, made.weight_decay) == (3.0, 0.9, 0.01)
    assert made.mask_truncated_completions


def test_the_defaults_are_those_without_the_settings(tmp_path: Path) -> None:
    recipe = load(tmp_path, tmp_path)
    assert recipe.rl is not None
    made = rl_config(recipe.rl, trainer_arguments(recipe, tmp_path))
    assert (made.delta, made.top_p, made.weight_decay) == (None, 1.0, 0.0)
    assert not made.mask_truncated_completions and made.reward_weights == [0.9, 0.1]
    assert not made.use_vllm


@pytest.mark.parametrize(
    ("scale", "updates", "prompts"), [("paper-clevr", 3, 384), ("paper-gta", 2, 256), ("tiny", 1, 16)]
)
def test_the_scales_of_the_paper_update_on_128_prompts(scale: str, updates: int, prompts: int) -> None:
    data = [{"benchmark": "bench", "cot": "chains"}]
    recipe = config.load("trimpi-poro-dapo", scale, base="base", data=data)
    assert recipe.rl is not None
    assert (recipe.rl.updates, recipe.rl.prompts) == (updates, prompts)
    assert recipe.save_steps % updates == 0


def test_masked_responses_are_not_learned_from(make: Make) -> None:
    trainer = make(overlong="mask")
    output = sampled(trainer)
    for ids, mask in zip(output["completion_ids"], output["completion_mask"], strict=True):
        complete = set(trainer.eos_token_ids) & set(ids.tolist())
        assert bool(mask.any()) == bool(complete)


def test_the_penalty_grows_over_the_buffer(make: Make) -> None:
    """Equation 13 of DAPO, here with a buffer of all twelve tokens."""
    trainer = make(overlong="penalty", overlong_buffer=12)
    batch = trainer._sample_batch(next_rows(trainer))
    penalty = [-len(ids) / 12 for ids in batch.completion_ids]
    assert -1.0 in penalty
    assert batch.rewards_NF[:, 2].tolist() == pytest.approx(penalty)
    totals = (batch.rewards_NF * torch.tensor([0.9, 0.1, 1.0])).sum(1)
    assert torch.allclose(trainer._total_rewards(batch), totals)


def test_plain_grpo_neither_builds_nor_decodes_the_policy(
    make: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    read: list[str] = []
    image = Benchmark.image
    monkeypatch.setattr(Benchmark, "image", lambda self, name: read.append(name) or image(self, name))
    plain, mixed = (make(policy_rollout=rollout).train_dataset[0] for rollout in (False, True))
    assert not {"policy_prompt", "policy_images"} & plain.keys()
    assert plain["images"] and len(mixed["policy_images"]) > len(mixed["images"])
    assert len(read) == len(plain["images"]) + len(mixed["images"]) + len(mixed["policy_images"])


@pytest.mark.parametrize("algorithm", ["grpo", "dapo"])
def test_no_image_is_sent_between_processes(
    make: Make, algorithm: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    sent: list[Any] = []
    for module in (grpo_trainer, rollout):
        gather = module.gather_object
        monkeypatch.setattr(module, "gather_object", lambda x, gather=gather: sent.append(x) or gather(x))
    trainer = make(algorithm=algorithm, policy_rollout=True, tries=3)
    # Random weights get nothing right, which would end training.
    monkeypatch.setattr(trainer, "_end_training", lambda *_: None)
    output = sampled(trainer)
    assert "pixel_values" in output
    assert any(isinstance(part, dict) for part in parts(sent))
    assert not any(isinstance(part, Image.Image) for part in parts(sent))


def parts(value: Any) -> Any:
    """Everything inside nested lists, tuples and dictionaries, at any depth."""
    yield value
    inside = value.values() if isinstance(value, dict) else value if isinstance(value, list | tuple) else ()
    for item in inside:
        yield from parts(item)
