"""The private parts of TRL that our trainers depend on. An upgrade that changes one fails here."""

import inspect
from importlib.metadata import version
from typing import Any

import pytest
from transformers import Trainer
from trl import GRPOTrainer, SFTTrainer
from trl.trainer.utils import RepeatSampler

from training.rl.kl import BoundedKl
from training.rl.rollout import PolicyRolloutTrainer
from training.rl.teacher.per_token import PerTokenTrainer

# Name of each method -> its parameters.
METHODS = {
    "_generate_and_score_completions": "inputs",
    "_generate": "prompts",
    "_generate_single_turn": "prompt_ids, images, multimodal_fields, num_generations, has_tool_images",
    "_calculate_rewards": "inputs, prompts, completions, completion_ids_list",
    "_tokenize_prompts": "prompts",
    "_get_train_sampler": "dataset",
    "_compute_loss": "model, inputs",
}
# Name of each method -> calls in its source.
CALLS = {
    "_generate_and_score_completions": [
        "self._generate(prompts)",
        "self._calculate_rewards(inputs, prompts",
        # After _generate has removed the images.
        "gather_object(prompts)",
    ],
    "_generate": ["self._tokenize_prompts(prompts)", "self._generate_single_turn("],
    "_generate_single_turn": ["self.vllm_generation.generate(", "num_generations=num_generations"],
    "_prepare_inputs": [
        "self._generate_and_score_completions(generation_batch)",
        "self._step % generate_every",
    ],
    # delta is the dual clip.
    "_compute_loss": [
        "torch.clamp(coef_1, max=self.args.delta)",
        "self._get_per_token_logps_and_entropies(",
        'inputs["ref_per_token_logps"]',
        'inputs["advantages"]',
        "advantages.dim() == 1",
    ],
}
RETURNED = (
    "return prompt_ids, completion_ids, tool_mask, completions, logprobs, extra_fields, images, tool_images"
)


def test_the_version_of_trl_is_the_one_that_was_read() -> None:
    assert version("trl") == "1.16.0", (
        "read the methods of GRPOTrainer that this file names before you pin another version of TRL"
    )


@pytest.mark.parametrize("name", METHODS)
def test_a_hook_has_the_same_parameters(name: str) -> None:
    method = getattr(GRPOTrainer, name, None)
    assert method is not None, (
        f"TRL's GRPOTrainer no longer has {name}, which training/rl/rollout.py overrides"
    )
    parameters = ", ".join(list(inspect.signature(method).parameters)[1:])
    assert parameters == METHODS[name], f"GRPOTrainer.{name} now has {parameters}; see training/rl/rollout.py"


@pytest.mark.parametrize("name", CALLS)
def test_a_hook_is_called_by_the_same_methods(name: str) -> None:
    source = inspect.getsource(getattr(GRPOTrainer, name))
    for call in CALLS[name]:
        assert call in source, f"TRL's GRPOTrainer.{name} no longer has {call}; see training/rl/rollout.py"


def test_the_loss_reads_its_inputs_after_the_log_probabilities() -> None:
    """Only then can kl.py and per_token.py replace them."""
    source = inspect.getsource(GRPOTrainer._compute_loss)
    first = source.index("self._get_per_token_logps_and_entropies(")
    assert all(first < source.index(f'inputs["{name}"]') for name in ("ref_per_token_logps", "advantages"))


def test_generate_returns_the_same_values() -> None:
    assert RETURNED in inspect.getsource(GRPOTrainer._generate), (
        "GRPOTrainer._generate now returns other values; see RolloutBatch.as_trl_output"
    )


def test_the_sampler_has_its_own_generator() -> None:
    """training.trainers.resume.EpochOrderSampler seeds it."""
    sampler = RepeatSampler([1, 2, 3], 2, seed=5)
    assert sampler.seed == 5 and hasattr(sampler.generator, "manual_seed")


def test_a_checkpoint_is_loaded_by_the_same_method() -> None:
    """training.trainers.resume.ResumeMixin replaces it."""
    parameters = list(inspect.signature(Trainer._load_from_checkpoint).parameters)
    assert parameters == ["self", "resume_from_checkpoint", "model"]


def test_the_supervised_loss_is_made_of_the_same_parts() -> None:
    """training.trainers.sequence_loss replaces the divisor and weights the log-probabilities."""
    parameters = list(inspect.signature(Trainer._get_num_items_in_batch).parameters)
    assert parameters == ["self", "batch_samples", "device"]
    source = inspect.getsource(SFTTrainer.compute_loss)
    for part in ("outputs = model(**inputs, fused_lm_head=True)", "per_token_loss = -outputs.log_probs"):
        assert part in source, f"SFTTrainer.compute_loss no longer has {part}; see trainers/sequence_loss.py"


def test_every_override_is_listed_here() -> None:
    own: dict[str, Any] = {**vars(BoundedKl), **vars(PolicyRolloutTrainer), **vars(PerTokenTrainer)}
    overridden = {
        name for name in own if name != "__init__" and name in dir(GRPOTrainer) and callable(own[name])
    }
    # The first passes on all its arguments, and the second is tested above.
    assert overridden - {"_get_per_token_logps_and_entropies", "_load_from_checkpoint"} <= METHODS.keys()
