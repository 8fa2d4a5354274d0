"""PolicyRollout with a stand-in for vLLM: what is requested from it, and how its responses are used."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
import torch
from rollouts import eval_inputs, make_mixture, make_trainer, next_rows, response_logps
from trl.trainer import grpo_trainer

from harness.errors import UserError
from training import config
from training.check import check_stages
from training.rl.vllm_errors import vllm_errors

LENGTH = 5


class FakeVllm:
    """Replaces TRL's VLLMGeneration. Every response has log-probabilities of -1, -2, ..."""

    def __init__(self, mode: str, **_: Any) -> None:
        self.mode = mode
        self.vllm_client = self
        self.generation_kwargs: dict[str, Any] = {}
        self.requests: list[tuple[list[list[int]], Any, int]] = []

    def get_server_info(self) -> Any:
        return {"model_config": {"logprobs_mode": "processed_logprobs"}}

    def sync_weights(self) -> None:
        pass

    def generate(self, prompts: Any, images: Any, num_generations: int, profiler: Any) -> Any:
        del profiler
        self.requests.append((list(prompts), images, num_generations))
        if self.mode == "server":
            # A server samples n responses to every n-th prompt and ignores the prompts between them.
            prompts = [ids for ids in prompts[::num_generations] for _ in range(num_generations)]
        responses = [
            [10 + (sum(ids) + place + i) % 200 for i in range(LENGTH)] for place, ids in enumerate(prompts)
        ]
        logps = [[[-float(i + 1)] for i in range(LENGTH)] for _ in prompts]
        return prompts, responses, logps, None


@pytest.fixture
def sample(checkpoint: Path, visual_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    def make(mode: str, **settings: Any) -> tuple[Any, Any, list[Any], Any]:
        monkeypatch.setattr(grpo_trainer, "VLLMGeneration", FakeVllm)
        data = make_mixture(visual_folder)
        trainer = make_trainer(checkpoint, data, tmp_path, use_vllm=True, vllm_mode=mode, **settings)
        rows = next_rows(trainer)
        return trainer, data, rows, trainer._generate_and_score_completions(rows)

    return make


@pytest.mark.parametrize("correction", ["token_truncate", "token_mask", "sequence_truncate", "sequence_mask"])
def test_policy_aware_rows_are_not_corrected(sample: Any, correction: str) -> None:
    """They are sampled from another prompt on purpose. TRL corrects the policy-free ones."""
    trainer, data, rows, output = sample("colocate", vllm_importance_sampling_mode=correction)
    ratio = output["importance_sampling_ratio"]
    aware = torch.tensor([False, False, True, True] * 2)
    assert (ratio[aware] == 1).all()
    sampled = -torch.arange(1.0, LENGTH + 1)
    for place in (~aware).nonzero().flatten().tolist():
        response = output["completion_ids"][place].tolist()
        inputs = eval_inputs(trainer, data, rows[place], with_policy=False)
        with torch.no_grad():
            old = response_logps(trainer.model, inputs, response)
        assert torch.allclose(output["old_per_token_logps"][place], old, atol=1e-5)
        difference = (old - sampled).sum(0, keepdim=True) if "sequence" in correction else old - sampled
        expected = torch.exp(difference)
        expected = expected.clamp(max=3) if "truncate" in correction else expected * (expected <= 3)
        assert torch.allclose(ratio[place], expected, atol=1e-4)
    assert torch.isfinite(trainer._compute_loss(trainer.model, output))


def test_in_the_same_process_each_image_is_one_placeholder(sample: Any) -> None:
    """vLLM expands them itself. The scored sequences stay expanded."""
    trainer, _, rows, output = sample("colocate")
    token = trainer.model.config.image_token_id
    ((prompts, images, _),) = trainer.vllm_generation.requests
    for place, (ids, row) in enumerate(zip(prompts, rows, strict=True)):
        expected = row["policy_images"] if place % 4 >= 2 else row["images"]
        assert ids.count(token) == len(expected) == len(images[place])
    assert (output["prompt_ids"] == token).sum(1).min() > len(rows[0]["images"])


def test_a_server_gets_separate_requests_for_each_half(sample: Any) -> None:
    """Placeholders stay expanded, because TRL sends the server image features for each of them."""
    trainer, data, rows, _ = sample("server")
    ((prompts, _, responses),) = trainer.vllm_generation.requests
    assert responses == 2
    expected = [
        eval_inputs(trainer, data, row, with_policy=place % 4 >= 2)["input_ids"][0].tolist()
        for place, row in enumerate(rows)
    ]
    assert prompts == expected
    for_each = prompts[::responses]
    assert [for_each[place // responses] for place in range(len(rows))] == expected


def test_without_policy_rollout_a_group_is_one_request(sample: Any) -> None:
    trainer, _, _, output = sample("server", policy_rollout=False)
    assert trainer.vllm_generation.requests[0][2] == 4
    assert not (output["importance_sampling_ratio"] == 1).all(1).any()


def test_vllm_suppresses_the_same_tokens_by_a_bias(sample: Any) -> None:
    trainer, *_ = sample("colocate")
    bias = trainer.vllm_generation.generation_kwargs["logit_bias"]
    assert trainer.model.config.image_token_id in bias and set(bias.values()) == {-100.0}
    assert not set(bias) & set(trainer.eos_token_ids)


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed here")
def test_a_missing_vllm_is_reported_before_the_first_stage(checkpoint: Path, text_folder: Path) -> None:
    rl = {"prompts": 2, "micro_batch": 8, "vllm": "colocate"}
    data = [{"benchmark": text_folder}]
    recipe = config.load("rl-from-base", "tiny", base=str(checkpoint), data=data, rl=rl)
    with pytest.raises(
        UserError, match=r"^rl\.vllm: expected vLLM to be installed for 'colocate', .*\[vllm\]"
    ):
        check_stages(recipe, recipe.stages, recipe.base)


@pytest.mark.skipif(find_spec("vllm") is not None, reason="vLLM is installed here")
def test_a_vllm_that_cannot_start_is_an_error_of_one_sentence(
    checkpoint: Path, visual_folder: Path, tmp_path: Path
) -> None:
    """Here TRL's own code says why."""
    sentence = (
        r"^rl\.vllm: vLLM cannot sample: ImportError: vLLM is not available.*; correct rl\.vllm_server or"
    )
    with pytest.raises(UserError, match=sentence), vllm_errors():
        make_trainer(checkpoint, make_mixture(visual_folder), tmp_path, use_vllm=True)


def test_an_error_of_other_code_stays_as_it_is() -> None:
    with pytest.raises(KeyError), vllm_errors():
        raise KeyError("a defect")
