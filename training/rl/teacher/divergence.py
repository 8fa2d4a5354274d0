"""Compares the next token's distributions of two models, for each token of a response.

Logits of a whole batch do not fit into memory: 64 responses of 2,048 tokens with a vocabulary of 152,000 need
80 GB. So both models hand over their last hidden states, and CHUNK tokens at a time are turned into
log-probabilities, compared and dropped. The backward pass computes them again.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch.utils.checkpoint import checkpoint

from training.rl.teacher.methods import Divergence

# Tokens that are compared at a time: 155 MB for each copy of their logits, with a vocabulary of 152,000.
CHUNK = 256
# The logit of a token that is never sampled. It is finite, because 0 * inf is not a number.
NEVER = -1e9
# Turns hidden states (K, D) into log-probabilities (K, V).
LogProbs = Callable[[torch.Tensor], torch.Tensor]


def log_probs_of(model: Any, temperature: float, vocabulary: int, never: Sequence[int]) -> LogProbs:
    """The distribution from which `model` samples at this temperature, given its last hidden states.

    It has the first `vocabulary` tokens, because checkpoints with the same tokenizer may pad their vocabulary
    differently. The tokens `never` are not sampled.
    """
    head, text_config = model.get_output_embeddings(), model.config.get_text_config()
    cap = getattr(text_config, "final_logit_softcapping", None)
    scale = logit_scale(text_config)

    def log_probs(states_KD: torch.Tensor) -> torch.Tensor:
        logits_KV = head(states_KD).float()[:, :vocabulary] * scale
        if cap is not None:
            logits_KV = cap * torch.tanh(logits_KV / cap)
        banned = torch.tensor(list(never), dtype=torch.long, device=logits_KV.device)
        log_probs_KV: torch.Tensor = (logits_KV / temperature).index_fill(1, banned, NEVER).log_softmax(1)
        return log_probs_KV

    return log_probs


def logit_scale(text_config: Any) -> float:
    """What some architectures multiply their logits by, such as Cohere (times) and Granite (divided by)."""
    scale = getattr(text_config, "logit_scale", None)
    divisor = getattr(text_config, "logits_scaling", None)
    return (1.0 if scale is None else scale) / (1.0 if divisor is None else divisor)


def compare(
    kind: Divergence,
    student: tuple[LogProbs, torch.Tensor],
    teacher: tuple[LogProbs, torch.Tensor],
    ids_K: torch.Tensor,
    top_k: int | None = None,
    chunk: int = CHUNK,
) -> torch.Tensor:
    """For K tokens, the divergence of the two distributions, or d for `sampled`; shape (K,).

    Each model is given by what makes log-probabilities, and its hidden states (K, D). The values have a
    gradient through the student's, and none through the teacher's.
    """
    (student_log_probs, student_KD), (teacher_log_probs, teacher_KD) = student, teacher

    def compare_chunk(student_KD: torch.Tensor, teacher_KD: torch.Tensor, ids_K: torch.Tensor) -> Any:
        student_KV = student_log_probs(student_KD)
        with torch.no_grad():
            teacher_KV = teacher_log_probs(teacher_KD)
        if kind == "sampled":
            return (teacher_KV - student_KV).gather(1, ids_K[:, None])[:, 0]
        if top_k is not None and top_k < teacher_KV.shape[1]:
            kept_KV = teacher_KV.topk(top_k, 1).indices
            student_KV, teacher_KV = (merge_others(x, kept_KV) for x in (student_KV, teacher_KV))
        return divergence(kind, student_KV, teacher_KV)

    parts = zip(*(torch.split(tensor, chunk) for tensor in (student_KD, teacher_KD, ids_K)), strict=True)
    return torch.cat([checkpoint(compare_chunk, *part, use_reentrant=False) for part in parts])


def divergence(kind: Divergence, student_KV: torch.Tensor, teacher_KV: torch.Tensor) -> torch.Tensor:
    """The divergence of distributions that are given by their log-probabilities, in nats; shape (K,)."""
    if kind == "forward":
        return kl(teacher_KV, student_KV)
    if kind == "reverse":
        return kl(student_KV, teacher_KV)
    mixture_KV = torch.logaddexp(student_KV, teacher_KV) - torch.tensor(2.0).log().item()
    return (kl(student_KV, mixture_KV) + kl(teacher_KV, mixture_KV)) / 2


def kl(p_KV: torch.Tensor, q_KV: torch.Tensor) -> torch.Tensor:
    return (p_KV.exp() * (p_KV - q_KV)).sum(1)


def merge_others(log_probs_KV: torch.Tensor, kept_KV: torch.Tensor) -> torch.Tensor:
    """Log-probabilities of the kept tokens, and of all others together; shape (K, kept + 1).

    A divergence of the merged distributions is never above that of the whole ones.
    """
    others_K1 = log_probs_KV.scatter(1, kept_KV, -torch.inf).logsumexp(1, keepdim=True)
    return torch.cat([log_probs_KV.gather(1, kept_KV), others_K1], 1)
