"""The losses of GRPO, DAPO and PolicyRollout are those of the formulas, written out here a second time."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from rollouts import batch, logprobs, lottery, mixture, read, trainer
from trl import GRPOTrainer

from training.rl.kl import FURTHEST
from training.rl.rollout import LOSSES

SEEDS = range(5)
LOW, HIGH = 0.2, {"grpo": 0.3, "dapo": 0.28}


def reference(
    algorithm: str,
    now: torch.Tensor,
    old: torch.Tensor,
    first: torch.Tensor,
    a: torch.Tensor,
    mask: torch.Tensor,
) -> torch.Tensor:
    """Of log-probabilities now, when sampled and of the first model, all (B, T), and advantages a (B,)."""
    ratio, a = torch.exp(now - old), a[:, None]
    gain = torch.minimum(ratio * a, ratio.clamp(1 - LOW, 1 + HIGH[algorithm]) * a)
    if algorithm == "dapo":
        return -(gain * mask).sum() / mask.sum()
    less = first - now
    near = less < FURTHEST
    # Beyond the bound: 10, and a line through it with the slope that it has there.
    beyond = 10 - (math.exp(FURTHEST) - 1) * (now - now.detach())
    kl = torch.where(near, torch.exp(less.clamp(max=FURTHEST)) - less - 1, beyond)
    return -(((gain - 0.01 * kl) * mask).sum(1) / mask.sum(1)).mean()


@pytest.fixture(scope="module", params=["grpo", "dapo"])
def learner(
    request: pytest.FixtureRequest,
    checkpoint: Path,
    visual_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[str, Any, Any]:
    data = mixture(visual_folder)
    settings = {"gradient_accumulation_steps": 1, "steps_per_generation": 1, "per_device_train_batch_size": 8}
    made = trainer(checkpoint, data, tmp_path_factory.mktemp("loss"), **LOSSES[request.param], **settings)
    made.model.train()
    made.current_gradient_accumulation_steps = 1
    return request.param, made, data


@pytest.mark.parametrize("seed", SEEDS)
def test_value_and_gradient_on_random_tensors(
    learner: tuple[str, Any, Any], seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    algorithm, made, _ = learner
    draw = torch.Generator().manual_seed(seed)
    shape = (8, 7)
    old = -3 * torch.rand(shape, generator=draw)
    # Far enough apart for both bounds to be crossed with both signs of the advantage.
    now = (old + 0.4 * torch.randn(shape, generator=draw)).requires_grad_()
    # Some tokens are far less likely than to the first model, as those of policy-aware responses can be.
    first = old + 0.2 * torch.randn(shape, generator=draw) + 12.0 * (torch.rand(shape, generator=draw) < 0.2)
    advantages = torch.randn(8, generator=draw)
    lengths = torch.randint(1, 8, (8,), generator=draw)
    mask = (torch.arange(7)[None] < lengths[:, None]).long()
    inputs = {
        "prompt_ids": torch.ones((8, 3), dtype=torch.long),
        "prompt_mask": torch.ones((8, 3), dtype=torch.long),
        "completion_ids": torch.ones(shape, dtype=torch.long),
        "completion_mask": mask,
        "advantages": advantages,
        "old_per_token_logps": old,
        "ref_per_token_logps": first,
        "num_items_in_batch": mask.sum(),
    }
    monkeypatch.setattr(
        GRPOTrainer, "_get_per_token_logps_and_entropies", lambda *_, **__: (now, torch.zeros(shape), None)
    )
    loss = made._compute_loss(made.model, inputs)
    expected = reference(algorithm, now, old, first, advantages, mask)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)
    (ours,), (theirs,) = (torch.autograd.grad(of, now) for of in (loss, expected))
    assert torch.allclose(ours, theirs, atol=1e-6)
    assert torch.equal(inputs["ref_per_token_logps"], first)
    ratio = torch.exp(now - old)[mask.bool()]
    assert (ratio < 1 - LOW).any() and (ratio > 1 + HIGH[algorithm]).any()


def test_of_policy_rollout_from_rewards_to_the_loss(learner: tuple[str, Any, Any]) -> None:
    """All 2G rewards in one advantage, every probability without the policy; after the weights have moved."""
    algorithm, made, data = learner
    made._buffered_inputs = None
    made.args.steps_per_generation = 2  # TRL keeps the old log-probabilities when it expects two updates
    rows = batch(made)
    output = made._generate_and_score_completions(rows)
    made.args.steps_per_generation = 1
    before = _all_logprobs(made, data, rows, output)
    with torch.no_grad():
        for weight in made.model.parameters():
            weight.mul_(1.02)
    now, mask = _all_logprobs(made, data, rows, output), output["completion_mask"]
    rewards = torch.tensor(lottery([ids[m.bool()].tolist() for ids, m in _pairs(output)])).view(-1, 4)
    advantages = ((rewards - rewards.mean(1, keepdim=True)) / (rewards.std(1, keepdim=True) + 1e-4)).flatten()
    # The first model is the one that the trainer began with.
    expected = reference(algorithm, now, before, before, advantages, mask)
    loss = made._compute_loss(made.model, output)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
    assert (now - before)[mask.bool()].abs().max() > 0.05


def _pairs(output: Any) -> Any:
    return zip(output["completion_ids"], output["completion_mask"], strict=True)


def _all_logprobs(made: Any, data: Any, rows: Any, output: Any) -> torch.Tensor:
    found = torch.zeros(output["completion_ids"].shape)
    with torch.no_grad():
        for place, (row, (ids, mask)) in enumerate(zip(rows, _pairs(output), strict=True)):
            response = ids[mask.bool()].tolist()
            found[place, : len(response)] = logprobs(made.model, read(made, data, row, shown=False), response)
    return found
