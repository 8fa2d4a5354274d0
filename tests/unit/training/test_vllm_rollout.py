"""PolicyRollout with vLLM as the sampler, played by a stand-in: what it is asked, how its answer is used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from rollouts import batch, logprobs, mixture, read, trainer
from trl.trainer import grpo_trainer

LENGTH = 5


class Sampler:
    """Takes the place of TRL's VLLMGeneration; every response has log-probabilities of -1, -2, ..."""

    def __init__(self, mode: str, **_: Any) -> None:
        self.mode = mode
        self.vllm_client = self
        self.generation_kwargs: dict[str, Any] = {}
        self.asked: list[tuple[list[list[int]], Any, int]] = []

    def get_server_info(self) -> Any:
        return {"model_config": {"logprobs_mode": "processed_logprobs"}}

    def sync_weights(self) -> None:
        pass

    def generate(self, prompts: Any, images: Any, num_generations: int, profiler: Any) -> Any:
        del profiler
        self.asked.append((list(prompts), images, num_generations))
        if self.mode == "server":
            # It is asked for so many responses to each so-manieth prompt, whatever stands between.
            prompts = [ids for ids in prompts[::num_generations] for _ in range(num_generations)]
        said = [
            [10 + (sum(ids) + place + i) % 200 for i in range(LENGTH)] for place, ids in enumerate(prompts)
        ]
        sampled = [[[-float(i + 1)] for i in range(LENGTH)] for _ in prompts]
        return prompts, said, sampled, None


@pytest.fixture(params=["token_truncate", "token_mask", "sequence_truncate", "sequence_mask"])
def correction(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def drawn(checkpoint: Path, visual_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def make(mode: str, **settings: Any) -> tuple[Any, Any, list[Any], Any]:
        monkeypatch.setattr(grpo_trainer, "VLLMGeneration", Sampler)
        data = mixture(visual_folder)
        made = trainer(checkpoint, data, tmp_path, use_vllm=True, vllm_mode=mode, **settings)
        rows = batch(made)
        return made, data, rows, made._generate_and_score_completions(rows)

    return make


def test_policy_aware_rows_are_not_corrected(drawn: Any, correction: str) -> None:
    """They were sampled from another prompt on purpose; policy-free ones are corrected as TRL does."""
    made, data, rows, output = drawn("colocate", vllm_importance_sampling_mode=correction)
    ratio = output["importance_sampling_ratio"]
    aware = torch.tensor([False, False, True, True] * 2)
    assert (ratio[aware] == 1).all()
    sampled = -torch.arange(1.0, LENGTH + 1)
    for place in (~aware).nonzero().flatten().tolist():
        response = output["completion_ids"][place].tolist()
        with torch.no_grad():
            old = logprobs(made.model, read(made, data, rows[place], shown=False), response)
        assert torch.allclose(output["old_per_token_logps"][place], old, atol=1e-5)
        expected = torch.exp(
            (old - sampled).sum(0, keepdim=True) if "sequence" in correction else old - sampled
        )
        expected = expected.clamp(max=3) if "truncate" in correction else expected * (expected <= 3)
        assert torch.allclose(ratio[place], expected, atol=1e-4)
    assert torch.isfinite(made._compute_loss(made.model, output))


def test_in_the_same_process_each_picture_is_one_placeholder(drawn: Any) -> None:
    """vLLM expands them itself; what is scored stays expanded."""
    made, _, rows, output = drawn("colocate")
    token = made.model.config.image_token_id
    ((prompts, images, _),) = made.vllm_generation.asked
    for place, (ids, row) in enumerate(zip(prompts, rows, strict=True)):
        shown = row["policy_images"] if place % 4 >= 2 else row["images"]
        assert ids.count(token) == len(shown) == len(images[place])
    assert (output["prompt_ids"] == token).sum(1).min() > len(rows[0]["images"])


def test_a_server_is_asked_for_each_half_apart(drawn: Any) -> None:
    """And there placeholders stay expanded: TRL sends it the pictures' features, which lie upon them."""
    made, data, rows, _ = drawn("server")
    ((prompts, _, responses),) = made.vllm_generation.asked
    assert responses == 2
    whole = [read(made, data, row, shown=p % 4 >= 2)["input_ids"][0].tolist() for p, row in enumerate(rows)]
    assert prompts == whole
    for_each = prompts[::responses]
    assert [for_each[place // responses] for place in range(len(rows))] == whole


def test_without_policy_rollout_a_group_is_asked_for_at_once(drawn: Any) -> None:
    made, _, _, output = drawn("server", policy_rollout=False)
    assert made.vllm_generation.asked[0][2] == 4
    assert not (output["importance_sampling_ratio"] == 1).all(1).any()


def test_vllm_is_forbidden_the_same_tokens_in_its_own_words(drawn: Any) -> None:
    made, *_ = drawn("colocate")
    bias = made.vllm_generation.generation_kwargs["logit_bias"]
    assert made.model.config.image_token_id in bias and set(bias.values()) == {-100.0}
    assert not set(bias) & set(made.eos_token_ids)
