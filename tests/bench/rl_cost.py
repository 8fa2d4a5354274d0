"""Cost of PolicyRollout and of OPCD compared with GRPO with the same number of responses: seconds per step.

    python tests/bench/rl_cost.py CHECKPOINT ROUNDS BENCHMARK...

Measured like training_cost.py, with its settings. Responses with the policy may be longer than those without.
A random checkpoint gives responses of the same length.
"""

import sys
from statistics import median

from training_cost import in_a_process

# The largest acceptable ratios of time; "ours" has PolicyRollout.
SIDES = {"grpo": 1.0, "ours": 1.25, "opcd": 1.35}


def main() -> None:
    if len(sys.argv) < 4:
        sys.exit(__doc__)
    _, checkpoint, rounds, *benchmarks = sys.argv
    print(f"{'side':6} {'s/step':>8} {'ratio':>6} {'of at most':>10} {'memory':>7}  benchmark")
    for benchmark in benchmarks:
        measured: dict[str, list[dict[str, float]]] = {side: [] for side in SIDES}
        for _ in range(int(rounds)):
            for side, runs in measured.items():
                runs.append(in_a_process("rl", side, checkpoint, benchmark, ""))
        medians = {
            side: [median(run[name] for run in runs) for name in ("seconds", "memory")]
            for side, runs in measured.items()
        }
        for side, (seconds, memory) in medians.items():
            ratios = seconds / medians["grpo"][0], memory / medians["grpo"][1]
            print(
                f"{side:6} {seconds:8.3f} {ratios[0]:6.2f} {SIDES[side]:10} {ratios[1]:7.2f}  {benchmark}",
                flush=True,
            )


if __name__ == "__main__":
    main()
