"""Several questions about one policy in one sequence, so that training computes the policy once.

    tokens      p p p p p q q q r r       p: the policy     q, r: a question with its answer
    questions   0 0 0 0 0 1 1 1 2 2
    positions   0 1 2 3 4 5 6 7 5 6       each question continues after the policy

A token sees the tokens before it in the policy and in its own question. Each question has therefore the same
loss as in a sequence of its own.

B: sequences, T: tokens, Q: the tokens from the first question of any sequence on. The 3 positions of a token
are those of Qwen2.5-VL: time, height, width.
"""

import torch

from training.base.model.attention import MASKED_SCORE


def attention_mask(questions_BT: torch.Tensor, dtype: torch.dtype) -> torch.Tensor:
    """Which tokens the last Q tokens see, to be added to their scores; (B, 1, Q, T)."""
    policy = int((questions_BT > 0).any(0).int().argmax())
    asked_BQ1 = questions_BT[:, policy:, None]
    seen_B1T = questions_BT[:, None, :]
    sees_BQT = ((seen_B1T == 0) | (seen_B1T == asked_BQ1)).tril(policy)
    return torch.where(sees_BQT, 0.0, MASKED_SCORE).to(dtype)[:, None]


def continue_after_policy(positions_3BT: torch.Tensor, questions_BT: torch.Tensor) -> torch.Tensor:
    """The positions of sequences in which each question continued after the one before."""
    positions_3BT = positions_3BT.clone()
    for row, questions_T in enumerate(questions_BT):
        firsts = [
            int((questions_T == number).long().argmax()) for number in range(1, int(questions_T.max()) + 1)
        ]
        # The first token of a question is text, so its three positions are the same.
        starts = [int(positions_3BT[0, row, first]) for first in firsts]
        for number, start in enumerate(starts, 1):
            positions_3BT[:, row, questions_T == number] -= start - starts[0]
    return positions_3BT
