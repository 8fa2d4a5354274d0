"""The losses of GRPO, DAPO and PolicyRollout equal the formulas, which are implemented here independently."""

import math
from pathlib import Path
from typing import Any

import pytest
import torch
from rollouts import eval_inputs, hash_reward, make_mixture, make_trainer, next_rows, response_logps
from trl import GRPOTrainer

from training.rl.kl import MAX_LOG_RATIO, MIN_LOG_RATIO
from training.rl.trainer import LOSSES

SEEDS = range(5)
LOW, HIGH = 0.2, {"grpo": 0.3, "dapo": 0.28}


def expected_loss(
    algorithm: str,
    logps_BT: torch.Tensor,
    old_logps_BT: torch.Tensor,
    ref_logps_BT: torch.Tensor,
    advantages_B: torch.Tensor,
    mask_BT: torch.Tensor,
    dual_clip: float | None = None,
    clamp_kl: bool = False,
) -> torch.Tensor:
    """The loss from log-probabilities of the current, the sampling and the reference model."""
    ratio_BT, a_B1 = torch.exp(logps_BT - old_logps_BT), advantages_B[:, None]
    gain_BT = torch.minimum(ratio_BT * a_B1, ratio_BT.clamp(1 - LOW, 1 + HIGH[algorithm]) * a_B1)
    if dual_clip is not None:
        gain_BT = torch.where(a_B1 < 0, torch.maximum(gain_BT, dual_clip * a_B1), gain_BT)
    if algorithm == "dapo":
        return -(gain_BT * mask_BT).sum() / mask_BT.sum()
    d_BT = (ref_logps_BT - logps_BT).detach()
    bounded_BT = d_BT.clamp(MIN_LOG_RATIO, MAX_LOG_RATIO)
    slope_BT = 1 - torch.exp(bounded_BT)
    if clamp_kl:
        slope_BT = torch.where(bounded_BT == d_BT, slope_BT, 0.0)
    # Its value, and its derivative by the current log-probability.
    kl_BT = torch.exp(bounded_BT) - bounded_BT - 1 + slope_BT * (logps_BT - logps_BT.detach())
    return -(((gain_BT - 0.01 * kl_BT) * mask_BT).sum(1) / mask_BT.sum(1)).mean()


@pytest.fixture(scope="module", params=["grpo", "dapo"])
def learner(
    request: pytest.FixtureRequest,
    checkpoint: Path,
    visual_folder: Path,
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[str, Any, Any]:
    data = make_mixture(visual_folder)
    settings = {"gradient_accumulation_steps": 1, "steps_per_generation": 1, "per_device_train_batch_size": 8}
    trainer = make_trainer(
        checkpoint, data, tmp_path_factory.mktemp("loss"), **LOSSES[request.param], **settings
    )
    trainer.model.train()
    trainer.current_gradient_accumulation_steps = 1
    return request.param, trainer, data


def test_the_kl_of_a_token_is_at_most_10() -> None:
    for d in (MIN_LOG_RATIO, MAX_LOG_RATIO):
        assert math.exp(d) - d - 1 == pytest.approx(10, abs=1e-4)


@pytest.mark.parametrize(("dual_clip", "clamp_kl"), [(None, False), (3.0, True)])
@pytest.mark.parametrize("seed", SEEDS)
def test_value_and_gradient_on_random_tensors(
    learner: tuple[str, Any, Any],
    seed: int,
    dual_clip: float | None,
    clamp_kl: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    algorithm, trainer, _ = learner
    monkeypatch.setattr(trainer.args, "delta", dual_clip)
    monkeypatch.setattr(trainer, "clamp_kl", clamp_kl)
    generator = torch.Generator().manual_seed(seed)
    shape = (8, 7)
    old = -3 * torch.rand(shape, generator=generator)
    # Far enough apart to cross both bounds with both signs of the advantage.
    now = old + 0.8 * torch.randn(shape, generator=generator)
    now[0, 0] = old[0, 0] + 1.5
    now.requires_grad_()
    # Some tokens are far less likely than under the reference model, as in policy-aware responses, and others
    # far more likely, as in responses that have been learned.
    ref = old + 0.2 * torch.randn(shape, generator=generator)
    ref += 14.0 * (torch.rand(shape, generator=generator) < 0.2)
    ref -= 14.0 * (torch.rand(shape, generator=generator) < 0.2)
    advantages = torch.randn(8, generator=generator)
    advantages[0] = -1.0
    lengths = torch.randint(1, 8, (8,), generator=generator)
    mask = (torch.arange(7)[None] < lengths[:, None]).long()
    inputs = {
        "prompt_ids": torch.ones((8, 3), dtype=torch.long),
        "prompt_mask": torch.ones((8, 3), dtype=torch.long),
        "completion_ids": torch.ones(shape, dtype=torch.long),
        "completion_mask": mask,
        "advantages": advantages,
        "old_per_token_logps": old,
        "ref_per_token_logps": ref,
        "num_items_in_batch": mask.sum(),
    }
    monkeypatch.setattr(
        GRPOTrainer, "_get_per_token_logps_and_entropies", lambda *_, **__: (now, torch.zeros(shape), None)
    )
    loss = trainer._compute_loss(trainer.model, inputs)
    expected = expected_loss(algorithm, now, old, ref, advantages, mask, dual_clip, clamp_kl)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-6)
    (gradient,), (expected_gradient,) = (torch.autograd.grad(value, now) for value in (loss, expected))
    assert torch.allclose(gradient, expected_gradient, atol=1e-6)
    assert torch.equal(inputs["ref_per_token_logps"], ref), "later updates need the original reference"
    ratio = torch.exp(now - old)[mask.bool()]
    assert (ratio < 1 - LOW).any() and (ratio > 1 + HIGH[algorithm]).any()
    negative = (advantages[:, None] < 0).expand(shape)[mask.bool()]
    assert (ratio[negative] > 3).any()


def test_policy_rollout_from_rewards_to_the_loss(learner: tuple[str, Any, Any]) -> None:
    """All 2G rewards in one advantage and all probabilities without the policy, after the weights changed."""
    algorithm, trainer, data = learner
    trainer._buffered_inputs = None
    trainer.args.steps_per_generation = 2  # TRL keeps the old log-probabilities if it expects two updates
    rows = next_rows(trainer)
    output = trainer._generate_and_score_completions(rows)
    trainer.args.steps_per_generation = 1
    old = _logps(trainer, data, rows, output)
    with torch.no_grad():
        for weight in trainer.model.parameters():
            weight.mul_(1.02)
    now, mask = _logps(trainer, data, rows, output), output["completion_mask"]
    rewards = torch.tensor(hash_reward([ids[m.bool()].tolist() for ids, m in _pairs(output)])).view(-1, 4)
    advantages = ((rewards - rewards.mean(1, keepdim=True)) / (rewards.std(1, keepdim=True) + 1e-4)).flatten()
    # The reference model is the one that the trainer started with.
    expected = expected_loss(algorithm, now, old, old, advantages, mask)
    loss = trainer._compute_loss(trainer.model, output)
    assert loss.item() == pytest.approx(expected.item(), abs=1e-5)
    assert (now - old)[mask.bool()].abs().max() > 0.05


def _pairs(output: Any) -> Any:
    return zip(output["completion_ids"], output["completion_mask"], strict=True)


def _logps(trainer: Any, data: Any, rows: Any, output: Any) -> torch.Tensor:
    logps_BT = torch.zeros(output["completion_ids"].shape)
    with torch.no_grad():
        for place, (row, (ids, mask)) in enumerate(zip(rows, _pairs(output), strict=True)):
            response = ids[mask.bool()].tolist()
            inputs = eval_inputs(trainer, data, row, with_policy=False)
            logps_BT[place, : len(response)] = response_logps(trainer.model, inputs, response)
    return logps_BT
