"""What PolicyRolloutTrainer rests on in TRL that TRL promises nobody; an upgrade that moves it fails here."""

from __future__ import annotations

import inspect
from importlib.metadata import version
from typing import Any

import pytest
from transformers import Trainer
from trl import GRPOTrainer
from trl.trainer.utils import RepeatSampler

from training.rl.kl import BoundedKl
from training.rl.rollout import PolicyRolloutTrainer

METHODS = {
    "_generate_and_score_completions": ["inputs"],
    "_generate": ["prompts"],
    "_generate_single_turn": [
        "prompt_ids",
        "images",
        "multimodal_fields",
        "num_generations",
        "has_tool_images",
    ],
    "_calculate_rewards": ["inputs", "prompts", "completions", "completion_ids_list"],
    "_tokenize_prompts": ["prompts"],
    "_get_train_sampler": ["dataset"],
    "_compute_loss": ["model", "inputs"],
}
CALLS = {
    "_generate_and_score_completions": ["self._generate(prompts)", "self._calculate_rewards(inputs, prompts"],
    "_generate": ["self._tokenize_prompts(prompts)", "self._generate_single_turn("],
    "_generate_single_turn": ["self.vllm_generation.generate(", "num_generations=num_generations"],
    "_prepare_inputs": [
        "self._generate_and_score_completions(generation_batch)",
        "self._step % generate_every",
    ],
    "_compute_loss": ["self._get_per_token_logps_and_entropies(", 'inputs["ref_per_token_logps"]'],
}
RETURNED = (
    "return prompt_ids, completion_ids, tool_mask, completions, logprobs, extra_fields, images, tool_images"
)


def test_trl_is_the_one_that_was_read() -> None:
    assert version("trl") == "1.16.0", (
        "read GRPOTrainer again, all that this file names, before another version of TRL is pinned"
    )


@pytest.mark.parametrize("name", METHODS)
def test_a_hook_is_there_and_takes_what_it_took(name: str) -> None:
    method = getattr(GRPOTrainer, name, None)
    assert method is not None, (
        f"TRL's GRPOTrainer has no {name} any more, which training/rl/rollout.py overrides"
    )
    taken = list(inspect.signature(method).parameters)[1:]
    assert taken == METHODS[name], f"TRL's GRPOTrainer.{name} takes {taken} now; see training/rl/rollout.py"


@pytest.mark.parametrize("name", CALLS)
def test_a_hook_is_called_from_where_it_was(name: str) -> None:
    source = inspect.getsource(getattr(GRPOTrainer, name))
    for call in CALLS[name]:
        assert call in source, f"TRL's GRPOTrainer.{name} no longer has {call}; see training/rl/rollout.py"


def test_what_is_generated_comes_back_in_the_same_order() -> None:
    assert RETURNED in inspect.getsource(GRPOTrainer._generate), (
        "TRL's GRPOTrainer._generate returns other things now; see Drawn.generated in training/rl/rollout.py"
    )


def test_the_sampler_has_its_own_generator() -> None:
    """training.resume.EpochOrder seeds it."""
    sampler = RepeatSampler([1, 2, 3], 2, seed=5)
    assert sampler.seed == 5 and hasattr(sampler.generator, "manual_seed")


def test_a_checkpoint_is_read_where_it_was() -> None:
    """training.resume.Resumes reads the weights in its place."""
    taken = list(inspect.signature(Trainer._load_from_checkpoint).parameters)
    assert taken == ["self", "resume_from_checkpoint", "model"]


def test_every_override_is_named_here() -> None:
    own: dict[str, Any] = {**vars(BoundedKl), **vars(PolicyRolloutTrainer)}
    overridden = {
        name for name in own if name != "__init__" and name in dir(GRPOTrainer) and callable(own[name])
    }
    # It is passed whatever it is passed.
    assert overridden - {"_get_per_token_logps_and_entropies"} <= METHODS.keys()
