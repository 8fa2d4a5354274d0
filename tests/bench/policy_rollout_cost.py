"""Cost of PolicyRollout compared with GRPO with the same number of responses: seconds per step.

    python tests/bench/policy_rollout_cost.py CHECKPOINT ROUNDS BENCHMARK...

Measured like training_cost.py, with its settings. Responses with the policy may be longer than those without.
A random checkpoint gives responses of the same length.
"""

import sys
from statistics import median

from training_cost import in_a_process

MAX_RATIO = 1.25


def main() -> None:
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    _, checkpoint, rounds, *benchmarks = sys.argv
    print(f"{'GRPO s/step':>12} {'PoRo s/step':>12} {'ratio':>6} {'memory':>7}  of at most {MAX_RATIO}")
    for benchmark in benchmarks:
        measured: dict[str, list[dict[str, float]]] = {"grpo": [], "ours": []}
        for _ in range(int(rounds)):
            for side, runs in measured.items():
                runs.append(in_a_process("rl", side, checkpoint, benchmark, ""))
        grpo, poro = (median(run["seconds"] for run in runs) for runs in measured.values())
        memory = [median(run["memory"] for run in runs) for runs in measured.values()]
        print(
            f"{grpo:12.3f} {poro:12.3f} {poro / grpo:6.2f} {memory[1] / memory[0]:7.2f}  {benchmark}",
            flush=True,
        )


if __name__ == "__main__":
    main()
