"""A batch of sampled responses, and what is logged about it.

B: rows of one process; N: rows of all processes, group by group; F: reward functions.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from training.rl.dynamic_sampling import groups_with_variance

PromptRow = dict[str, Any]


@dataclass
class RolloutBatch:
    """Lists have an entry for each of the B rows of this process."""

    rows: list[PromptRow]
    # Tokens of the prompt (Q, I), also for responses that were sampled from (Q, I, P).
    prompt_ids: list[list[int]]
    completion_ids: list[list[int]]
    completions: list[Any]
    # vLLM's log-probabilities, if vLLM samples. None for each token that was sampled from (Q, I, P).
    sampling_logps: list[list[float | None]] | None
    # Rewards of all processes, shape (N, F). NaN in all of a row if the response could not be graded.
    rewards_NF: torch.Tensor

    def as_trl_output(self) -> tuple[Any, ...]:
        """The return value of TRL's _generate: no tools, no extra fields, and the images of (Q, I)."""
        images = [row.get("images") or [] for row in self.rows]
        responses = (self.prompt_ids, self.completion_ids, None, self.completions, self.sampling_logps)
        return (*responses, {}, images if any(images) else None, [])

    def replace_row(self, place: int, row: PromptRow, response: tuple[Any, ...]) -> None:
        """`response` holds its prompt's tokens, its tokens, the message and vLLM's log-probabilities."""
        self.rows[place] = row
        self.prompt_ids[place], self.completion_ids[place], self.completions[place], logps = response
        if self.sampling_logps is not None:
            self.sampling_logps[place] = logps


def reward_metrics(
    rewards: dict[str, torch.Tensor], group: int, policy_rollout: bool, families: Sequence[str]
) -> dict[str, float]:
    """Metrics of N responses in groups of this size. `rewards` are columns (N,); "reward" is their sum.

    With PolicyRollout the second half of each group is policy-aware. `families` has an entry for each
    response, or none.
    """
    metrics: dict[str, float] = {}
    halves = 2 if policy_rollout else 1
    half = group // halves
    for name, values_N in rewards.items():
        means = values_N.view(-1, halves, half).nanmean((0, 2)).tolist()
        for kind, mean in zip(("policy_free", "policy_aware"), means, strict=False):
            metrics[f"{name}/{kind}"] = mean
    totals_N = rewards["reward"]
    metrics["groups/zero_variance"] = 1 - groups_with_variance(totals_N, group).float().mean().item()
    metrics["responses/unscored"] = float(totals_N.isnan().sum())
    by_family: dict[str, list[float]] = {}
    for place, (family, total) in enumerate(zip(families, totals_N.tolist(), strict=False)):
        if place % group < half and not math.isnan(total):
            by_family.setdefault(family, []).append(total)
    return metrics | {f"reward/{family}": sum(of) / len(of) for family, of in sorted(by_family.items())}
