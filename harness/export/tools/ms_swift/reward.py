"""The reward "policy" for ms-swift. This project must be installed in the same environment."""

from typing import Any

from swift.rewards import ORM, orms

import harness


class PolicyReward(ORM):
    """The weighted sum of accuracy and format."""

    def __call__(self, completions: list[str], solution: list[str], **_: Any) -> list[float]:
        return [harness.reward(key, text)["score"] for text, key in zip(completions, solution, strict=True)]


orms["policy"] = PolicyReward
