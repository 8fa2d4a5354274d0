"""How many updates a toy policy takes to learn, with PolicyRollout and with plain GRPO.

    python tests/bench/policy_rollout_learning.py

8 keys, 64 codes (tests/support/toy_policy.py). Each update has 8 responses per key; with PolicyRollout four
of them are sampled with the table in context. Learning rate, loss (the paper's GRPO) and starting checkpoint
are the same. The starting checkpoint is right 98.7 % of the time with the table and 1.5 % without. Updates
until the greedy answers to 90 % of the keys are right without the table, for the seeds 0 to 4:

| learning rate | PolicyRollout | plain GRPO |
|---|---|---|
| 3e-4 | 81, 61, 78, 80, 69 | 884, 566, 300, 483, - |
| 1e-3 | 38, 21, 33, 38, 28 | -, 239, 730, 480, - |

A dash means not within 1000 updates, or stopped early because no rewards differed in 20 batches. It takes
five minutes on a shared core.
"""

import tempfile
from pathlib import Path

from toy_policy import steps_to_learn, warm_up

SEEDS, AT_MOST = range(5), 1000


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        base = Path(folder) / "base"
        with_table, without = warm_up(base)
        print(f"sampled accuracy after the warm-up: {with_table:.3f} with the table, {without:.3f} without")
        for rate in (3e-4, 1e-3):
            for policy_rollout in (True, False):
                updates = [
                    steps_to_learn(base, Path(folder), seed, policy_rollout, AT_MOST, learning_rate=rate)
                    for seed in SEEDS
                ]
                name = "PolicyRollout" if policy_rollout else "plain GRPO"
                print(f"learning rate {rate:g}, {name}: {updates} updates to 90 % for {SEEDS}", flush=True)


if __name__ == "__main__":
    main()
