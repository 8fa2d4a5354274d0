"""Divergences of two distributions over the vocabulary, in chunks and with only the likeliest tokens."""

from types import SimpleNamespace
from typing import Any, get_args

import pytest
import torch
from torch.nn.functional import kl_div

from training.rl.teacher.divergence import NEVER, compare, log_probs_of
from training.rl.teacher.methods import Divergence

KINDS: tuple[Divergence, ...] = get_args(Divergence)
TOKENS, WIDTH, VOCABULARY, TEMPERATURE, BANNED = 23, 8, 31, 0.7, (3, 5)


class Tiny(torch.nn.Module):
    """A model that consists of its head."""

    def __init__(self, seed: int, vocabulary: int = VOCABULARY, **settings: Any) -> None:
        super().__init__()
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            self.head = torch.nn.Linear(WIDTH, vocabulary, bias=False).requires_grad_(True)
        text = SimpleNamespace(**settings)
        self.config = SimpleNamespace(get_text_config=lambda: text)

    def get_output_embeddings(self) -> torch.nn.Linear:
        return self.head


def states(seed: int) -> torch.Tensor:
    values = 3 * torch.randn((TOKENS, WIDTH), generator=torch.Generator().manual_seed(seed))
    return values.requires_grad_()


def values(kind: Divergence, student: Tiny, teacher: Tiny, **options: Any) -> torch.Tensor:
    sides = []
    for model, seed in ((student, 1), (teacher, 2)):
        sides.append((log_probs_of(model, TEMPERATURE, VOCABULARY, BANNED), STATES[seed]))
    return compare(kind, sides[0], sides[1], IDS, **options)


STATES = {seed: states(seed) for seed in (1, 2)}
IDS = torch.arange(TOKENS) + 7


def reference_log_probs(model: Tiny, seed: int) -> torch.Tensor:
    """Of the tokens that can be sampled, in double precision."""
    logits = STATES[seed].detach().double() @ model.head.weight.detach().double().T
    kept = [token for token in range(VOCABULARY) if token not in BANNED]
    return (logits[:, kept] / TEMPERATURE).log_softmax(1)


def reference(kind: Divergence, student: torch.Tensor, teacher: torch.Tensor) -> torch.Tensor:
    def kl(p: torch.Tensor, q: torch.Tensor) -> torch.Tensor:
        return kl_div(q, p, reduction="none", log_target=True).sum(1)

    if kind == "sampled":
        # Two of the tokens before these ids are banned.
        return (teacher - student).gather(1, (IDS - len(BANNED))[:, None])[:, 0]
    mixture = ((student.exp() + teacher.exp()) / 2).log()
    return {
        "forward": kl(teacher, student),
        "reverse": kl(student, teacher),
        "jsd": (kl(student, mixture) + kl(teacher, mixture)) / 2,
    }[kind]


@pytest.mark.parametrize("kind", KINDS)
def test_each_divergence_is_its_formula(kind: Divergence) -> None:
    """Over the tokens that can be sampled, at the temperature of sampling."""
    student, teacher = Tiny(1), Tiny(2)
    found = values(kind, student, teacher)
    expected = reference(kind, reference_log_probs(student, 1), reference_log_probs(teacher, 2))
    assert torch.allclose(found.double(), expected, atol=1e-5)
    assert found.abs().max() > 0.1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("options", [{"chunk": 4}, {"chunk": TOKENS}, {"top_k": VOCABULARY}])
def test_chunks_and_all_tokens_change_nothing(kind: Divergence, options: dict[str, int]) -> None:
    student, teacher = Tiny(1), Tiny(2)
    found = []
    for changed in ({}, options):
        of_tokens = values(kind, student, teacher, **changed)
        gradients = torch.autograd.grad(of_tokens.sum(), [student.head.weight, STATES[1]])
        found.append((of_tokens, *gradients))
    assert all(torch.allclose(one, other, atol=1e-6) for one, other in zip(*found, strict=True))


@pytest.mark.parametrize("kind", ["forward", "reverse", "jsd"])
def test_fewer_tokens_never_raise_a_divergence(kind: Divergence) -> None:
    student, teacher = Tiny(1), Tiny(2)
    whole = values(kind, student, teacher)
    merged = [values(kind, student, teacher, top_k=k) for k in (1, 4, 16)]
    for fewer, more in zip(merged, [*merged[1:], whole], strict=True):
        assert (fewer <= more + 1e-6).all() and (fewer >= -1e-6).all()
    assert (merged[0] < whole - 1e-3).any()


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_does_not_differ_from_itself(kind: Divergence) -> None:
    student = Tiny(1)
    log_probs = log_probs_of(student, TEMPERATURE, VOCABULARY, BANNED)
    side = (log_probs, STATES[1])
    assert compare(kind, side, side, IDS).abs().max() < 1e-6


@pytest.mark.parametrize("kind", KINDS)
def test_the_teacher_gets_no_gradient(kind: Divergence) -> None:
    student, teacher = Tiny(1), Tiny(2)
    values(kind, student, teacher).sum().backward()
    assert student.head.weight.grad is not None and teacher.head.weight.grad is None


def test_vocabularies_that_are_padded_differently() -> None:
    """Only the tokens that both have are compared."""
    student, padded = Tiny(1), Tiny(2, VOCABULARY + 5)
    same = Tiny(2)
    same.head.weight.data = padded.head.weight.data[:VOCABULARY].clone()
    assert torch.equal(values("forward", student, padded), values("forward", student, same))


def test_logits_that_an_architecture_caps_or_scales() -> None:
    model = Tiny(1, final_logit_softcapping=2.0, logit_scale=0.5)
    logits = 2 * torch.tanh(model.head(STATES[1]) * 0.5 / 2) / TEMPERATURE
    logits[:, list(BANNED)] = NEVER
    found = log_probs_of(model, TEMPERATURE, VOCABULARY, BANNED)(STATES[1])
    assert torch.allclose(found, logits.log_softmax(1), atol=1e-6)
