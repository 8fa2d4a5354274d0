"""One advantage per token, from the advantage A of a response and what a teacher thinks of each token.

    d_t = log p_teacher(y_t | Q, I, P, y_<t) - log p_student(y_t | Q, I, y_<t)

    opcd     w * d                                  arXiv 2602.12275
    opsd-rl  A + w * d                              arXiv 2602.04942
    rlsd     A * (1 - w + w * clip(exp(sign(A) * d)))     arXiv 2604.03128
    sdar     A + w * sigmoid(GATE * d)              arXiv 2605.15155

SDAR is published as a loss: w * sigmoid(GATE * d) * d is added to GRPO's, with no gradient through the gate.
Only the student's log-probability has a gradient in it, so this is the advantage above while the ratio is 1.
In later updates on the same batch (rl.updates), the advantage is weighted and clipped together with A.
"""

import torch

from training.rl.teacher.methods import Method

# RLSD: how far the scale of an advantage may be from 1, and the steepness of SDAR's gate. Both are defaults
# of public implementations.
CLIP, GATE = 0.2, 5.0


def token_advantages(
    method: Method, weight: float, advantages_B: torch.Tensor, d_BT: torch.Tensor
) -> torch.Tensor:
    """The advantages (B, T), without a gradient. TRL's GRPO loss accepts this shape."""
    a_B1, d_BT = advantages_B[:, None], d_BT.detach()
    match method:
        case "opcd":
            return weight * d_BT
        case "opsd-rl":
            return a_B1 + weight * d_BT
        case "rlsd":
            scale_BT = torch.exp(a_B1.sign() * d_BT).clamp(1 - CLIP, 1 + CLIP)
            return a_B1 * (1 - weight + weight * scale_BT)
        case "sdar":
            return a_B1 + weight * torch.sigmoid(GATE * d_BT)
