"""vLLM as TRL's sampler in the same process: the rows, images and weights that it samples from."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch

pytest.importorskip("vllm", reason="vLLM is not installed here; make test-vllm creates its own environment")

from rollouts import eval_inputs, make_mixture, make_trainer, next_rows, response_logps
from trl import GRPOTrainer

from training.rl.rollout import _messages
from training.sequences.dataset import Mixture


@pytest.fixture(scope="module")
def mixture(visual_folder: Path) -> Mixture:
    return make_mixture(visual_folder)


@pytest.fixture(scope="module")
def trainer(checkpoint: Path, mixture: Mixture, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """A trainer whose vLLM keeps its weights as they are.

    On processors with AVX-512, vLLM packs the weights of linear layers for oneDNN and drops the originals, so
    that it cannot load weights a second time. On a GPU it keeps them.
    """
    from vllm import _custom_ops

    settings = {"use_vllm": True, "vllm_mode": "colocate", "vllm_max_model_length": 4096}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_custom_ops, "_supports_onednn", False)
        yield make_trainer(checkpoint, mixture, tmp_path_factory.mktemp("work"), **settings)


def sampled(trainer: Any) -> tuple[list[dict[str, Any]], list[list[int]], list[Any]]:
    """The rows of a batch, half of them policy-aware, their responses and vLLM's log-probabilities."""
    rows = next_rows(trainer)
    aware = trainer._policy_aware_rows(len(rows))
    prompts = [
        _messages(row, *(("policy_prompt", "policy_images") if i in aware else ("prompt", "images")))
        for i, row in enumerate(rows)
    ]
    _, responses, _, _, logps, *_ = GRPOTrainer._generate(trainer, prompts)
    return rows, responses, logps


def gap(trainer: Any, mixture: Mixture, batch: Any, other_prompt: bool = False) -> float:
    """How far vLLM's log-probabilities are from the model's own after the same prompt or the other one."""
    aware = trainer._policy_aware_rows(len(batch[0]))
    distances = []
    for place, (row, response, logps) in enumerate(zip(*batch, strict=True)):
        inputs = eval_inputs(trainer, mixture, row, with_policy=(place in aware) != other_prompt)
        with torch.no_grad():
            own = response_logps(trainer.model, inputs, response)
        distances += (own - torch.tensor(logps)).abs().tolist()
    return sum(distances) / len(distances)


def test_vllm_samples_from_the_prompt_of_each_row_with_its_images(trainer: Any, mixture: Mixture) -> None:
    batch = sampled(trainer)
    same, other = gap(trainer, mixture, batch), gap(trainer, mixture, batch, other_prompt=True)
    print(f"log-probabilities differ by {same:.4f}, given the other prompt by {other:.4f}")
    # vLLM computes in bfloat16.
    assert same < other / 4


def test_a_batch_is_scored_and_has_a_loss(trainer: Any) -> None:
    output = trainer._generate_and_score_completions(next_rows(trainer))
    ratio = output["importance_sampling_ratio"]
    aware = list(trainer._policy_aware_rows(len(ratio)))
    free = [place for place in range(len(ratio)) if place not in aware]
    assert (ratio[aware] == 1).all()
    assert not (ratio[free] == 1).all()
    assert torch.isfinite(trainer._compute_loss(trainer.model, output))


def test_vllm_gets_the_weights_of_every_update(trainer: Any, mixture: Mixture) -> None:
    with torch.no_grad():
        trainer.model.get_output_embeddings().weight.mul_(3)
    batch = sampled(trainer)
    stale = gap(trainer, mixture, batch)
    trainer.state.global_step += 1
    fresh = gap(trainer, mixture, sampled(trainer))
    print(f"before the weights are sent the gap is {stale:.4f}, after it {fresh:.4f}")
    assert fresh < stale / 4
