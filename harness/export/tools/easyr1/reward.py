"""The reward for EasyR1. This project must be installed in the same environment."""

from typing import Any

import harness

REWARD_NAME = "policy"
REWARD_TYPE = "sequential"


def compute_score(reward_input: dict[str, Any], **settings: float) -> dict[str, float]:
    """overall, accuracy and format of a response. `format_weight` may be set in reward_function_kwargs."""
    reward = harness.reward(reward_input["ground_truth"], reward_input["response"], **settings)
    return {"overall": reward.pop("score"), **reward}
