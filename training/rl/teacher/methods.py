"""Methods in which a teacher that sees the policy corrects the student's own responses, token by token.

Student and teacher read the same response y, the student after (Q, I) and the teacher after (Q, I, P). Only
`training/rl/teacher/advantages.py` and `training/rl/teacher/divergence.py` know their formulas.
"""

from dataclasses import dataclass
from typing import Literal

from harness.errors import UserError

Method = Literal["opcd", "opsd-rl", "rlsd", "sdar"]
Divergence = Literal["forward", "jsd", "reverse", "sampled"]
# Names of teachers that are no folders.
NAMED = ("base", "start", "ema")


@dataclass(frozen=True, slots=True)
class TeacherSettings:
    """Who the teacher is and what the student learns from it. A is the advantage in the group, and d the
    difference log p_teacher(y_t) - log p_student(y_t) of a sampled token."""

    # opcd: only the teacher counts and no reward (arXiv 2602.12275). opsd-rl: A and the teacher (2602.04942).
    # rlsd: A, scaled by d (2604.03128). sdar: A and a bonus for tokens that the teacher prefers (2605.15155).
    method: Method
    # Of the teacher; 0 leaves plain GRPO or DAPO. For rlsd the share of A that is scaled, at most 1.
    weight: float = 1.0
    # For opcd and opsd-rl, how the two distributions over the next token are compared: KL(teacher || student)
    # (forward), KL(student || teacher) (reverse), the mean of both KLs to the mixture (jsd), or only d, as an
    # advantage (sampled).
    divergence: Divergence = "sampled"
    # Compare only so many tokens, the teacher's most likely ones; all others together count as one token.
    top_k: int | None = None
    # base: the checkpoint that the recipe started from. start: the one that this stage starts from. ema: a
    # moving average of the student. Otherwise the folder of a checkpoint with the same tokenizer.
    model: str = "base"
    # ema: the share of the average that an update keeps.
    ema_decay: float = 0.99

    def __post_init__(self) -> None:
        if not self.weight >= 0 or (self.method == "rlsd" and self.weight > 1):
            limit = "0..1 for rlsd" if self.method == "rlsd" else "0 or more"
            raise UserError(f"teacher.weight: expected {limit}, got {self.weight}")
        if self.divergence != "sampled" and self.method not in ("opcd", "opsd-rl"):
            raise UserError(
                f"teacher.divergence: expected sampled for {self.method}, which compares only the sampled "
                f"token, got {self.divergence}"
            )
        if self.top_k is not None and (self.top_k < 1 or self.divergence == "sampled"):
            raise UserError(
                "teacher.top_k: expected 1 or more with divergence forward, jsd or reverse, got "
                f"{self.top_k} with {self.divergence}"
            )
        if not 0 <= self.ema_decay < 1:
            raise UserError(f"teacher.ema_decay: expected 0 or more and below 1, got {self.ema_decay}")

    @property
    def needs_rewards(self) -> bool:
        """Whether a group whose rewards are all equal teaches nothing."""
        return self.method == "rlsd"

    def checkpoint(self, base: str, start: str) -> str:
        """The checkpoint that the teacher is loaded from; `start` is the one that the stage starts from."""
        return {"base": base, "start": start, "ema": start}.get(self.model, self.model)
