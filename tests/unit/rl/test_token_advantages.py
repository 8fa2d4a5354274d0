"""The advantage of each token, by formulas that are written here as loops."""

import math

import pytest
import torch

from harness.errors import UserError
from training.rl.teacher.advantages import token_advantages
from training.rl.teacher.methods import Method, TeacherSettings


def expected(method: Method, weight: float, a: float, d: float) -> float:
    if method == "opcd":
        return weight * d
    if method == "opsd-rl":
        return a + weight * d
    if method == "rlsd":
        sign = (a > 0) - (a < 0)
        return a * ((1 - weight) + weight * min(max(math.exp(sign * d), 0.8), 1.2))
    return a + weight / (1 + math.exp(-5 * d))


METHODS: tuple[Method, ...] = ("opcd", "opsd-rl", "rlsd", "sdar")


@pytest.mark.parametrize("method", METHODS)
def test_each_method_is_its_formula(method: Method) -> None:
    generator = torch.Generator().manual_seed(0)
    advantages_B = torch.tensor([-1.5, 0.0, 0.5, 2.0], dtype=torch.double)
    d_BT = torch.randn((4, 6), generator=generator, dtype=torch.double)
    values_BT = token_advantages(method, 0.3, advantages_B, d_BT)
    rows = zip(advantages_B.tolist(), d_BT.tolist(), strict=True)
    reference = torch.tensor([[expected(method, 0.3, a, d) for d in row] for a, row in rows])
    assert torch.allclose(values_BT, reference.double(), atol=1e-6)


@pytest.mark.parametrize("method", METHODS[1:])
def test_without_weight_it_is_the_advantage_of_the_group(method: Method) -> None:
    advantages_B = torch.randn(8, generator=torch.Generator().manual_seed(1))
    values_BT = token_advantages(method, 0.0, advantages_B, 9 * torch.randn((8, 5)))
    assert torch.equal(values_BT, advantages_B[:, None].expand(8, 5))


def test_the_sign_of_an_advantage_never_changes_in_rlsd() -> None:
    advantages_B = torch.tensor([-2.0, 2.0])
    values_BT = token_advantages("rlsd", 1.0, advantages_B, torch.tensor([[-50.0, 50.0], [-50.0, 50.0]]))
    assert torch.allclose(values_BT, torch.tensor([[-2.4, -1.6], [1.6, 2.4]]))


def test_sdar_has_the_gradient_of_its_published_loss() -> None:
    """GRPO's loss plus the mean of gate * d, in which only the student's log-probability has a gradient."""
    generator = torch.Generator().manual_seed(2)
    student_BT, teacher_BT = (torch.randn((3, 4), generator=generator) for _ in range(2))
    advantages_B = torch.randn(3, generator=generator)
    student_BT.requires_grad_()
    d_BT = teacher_BT - student_BT
    ratio_BT = torch.exp(student_BT - student_BT.detach())
    gate_BT = torch.sigmoid(5 * d_BT).detach()
    published = (-ratio_BT * advantages_B[:, None]).mean() + 0.1 * (gate_BT * d_BT).mean()
    ours = (-ratio_BT * token_advantages("sdar", 0.1, advantages_B, d_BT)).mean()
    (one,), (other,) = (
        torch.autograd.grad(loss, student_BT, retain_graph=True) for loss in (published, ours)
    )
    assert torch.allclose(one, other, atol=1e-7)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"method": "opcd", "weight": -1.0}, "teacher.weight: expected 0 or more"),
        ({"method": "opcd", "weight": float("nan")}, "teacher.weight: expected 0 or more"),
        ({"method": "rlsd", "weight": 1.5}, "teacher.weight: expected 0..1 for rlsd"),
        ({"method": "sdar", "divergence": "forward"}, "teacher.divergence: expected sampled for sdar"),
        ({"method": "opcd", "top_k": 5}, "teacher.top_k: .* got 5 with sampled"),
        ({"method": "opcd", "divergence": "jsd", "top_k": 0}, "teacher.top_k: expected 1 or more"),
        ({"method": "opcd", "model": "ema", "ema_decay": 1.0}, "teacher.ema_decay: .* below 1"),
    ],
)
def test_wrong_settings_of_a_teacher_are_refused(settings: dict[str, object], message: str) -> None:
    with pytest.raises(UserError, match=message):
        TeacherSettings(**settings)  # type: ignore[arg-type]


def test_the_teacher_is_the_base_and_not_the_start_of_the_stage() -> None:
    found = {
        model: TeacherSettings("opcd", model=model).checkpoint("b", "s") for model in ("start", "ema", "x")
    }
    assert found == {"start": "s", "ema": "s", "x": "x"}
    assert TeacherSettings("opcd").checkpoint("b", "s") == "b"
