"""The reward for verl. This project must be installed in the same environment."""

from typing import Any

import harness


def compute_score(
    data_source: str,  # noqa: ARG001
    solution_str: str,
    ground_truth: str,
    extra_info: Any = None,  # noqa: ARG001
    **settings: float,
) -> dict[str, float]:
    """score, accuracy and format of a response. `format_weight` may be set in reward_kwargs."""
    return harness.reward(ground_truth, solution_str, **settings)
