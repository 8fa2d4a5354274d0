"""What the commands cost besides a model: python tests/bench/own_cost.py FOLDER --test 200 2000

Prints CPU-seconds and peak memory of --help, and of scoring, submitting and showing a run with an instant
model (a replay of the oracle's responses, and a file of them) on benchmarks of ten policies with so many test
instances each, under three variants. The cost per response is the difference between the last two sizes, so
that fixed costs such as drawing the report do not count. The scenes are described in words, because rendering
is not measured.
"""

import argparse
import json
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PROGRAMS = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["scripts"]
VARIANTS = 3
POLICIES = 10


class Cost(NamedTuple):
    seconds: float
    mib: float


def run(command: str) -> Cost:
    """The CPU-seconds and the peak memory of a command, which must succeed."""
    program, *arguments = command.split()
    # Beside this Python, so that the environment need not be activated.
    process = subprocess.Popen(
        [Path(sys.executable).with_name(program), *arguments],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(process.pid, 0)
    if status:
        raise RuntimeError(f"{command}: failed")
    return Cost(usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024)


def write_given(run: Path, path: Path) -> None:
    """Writes the responses of a run as another program would."""
    with (run / "responses.jsonl").open() as responses, path.open("w") as file:
        for r in map(json.loads, responses):
            id_ = f"{r['variant']}/{r['sample']}/{r['instance']}/{r['prompt_sha256'][:12]}"
            print(json.dumps({"id": id_, "text": r["text"]}), file=file)


def costs(folder: Path, test: int) -> dict[str, Cost]:
    """By step, the costs for a benchmark that has so many test instances per policy."""
    bench, oracle = folder / f"bench-{test}", folder / f"oracle-{test}"
    if not bench.exists():
        run(f"clevrpolicy generate {bench} --scenes words --depth 6 --train 2 --test {test}")
    found = {"eval, oracle": run(f"harness eval {bench} --model oracle --out {oracle}")}
    given = folder / f"given-{test}.jsonl"
    write_given(oracle, given)
    steps = {"score": f"harness score {bench} {given} --model oracle --out {folder / f'score-{test}'}"}
    steps["eval, replay"] = f"harness eval {bench} --model replay:{oracle} --out {folder / f'replay-{test}'}"
    # Not the oracle, because a scripted model is asked again, which keeps all instances in memory.
    steps["submit"] = f"leaderboard submit {folder / f'replay-{test}'} --board {folder / f'board-{test}'}"
    steps["show"] = f"leaderboard show --board {folder / f'board-{test}'}"
    found |= {step: run(command) for step, command in steps.items()}
    for step, cost in found.items():
        count = POLICIES * test * VARIANTS
        print(f"{count} responses, {step}: {cost.seconds:.1f} CPU-s, {cost.mib:.0f} MiB", flush=True)
    return found


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--test", type=int, nargs="+", default=[200, 2000])
    args = parser.parse_args()
    for program in PROGRAMS:
        print(f"{program} --help: {min(run(f'{program} --help').seconds for _ in range(3)):.2f} CPU-s")
    args.folder.mkdir(parents=True, exist_ok=True)
    found = [costs(args.folder, test) for test in args.test]
    if len(found) > 1:
        more = (args.test[-1] - args.test[-2]) * POLICIES * VARIANTS
        for step, after in found[-1].items():
            seconds, mib = after.seconds - found[-2][step].seconds, after.mib - found[-2][step].mib
            print(f"{step}: {1000 * seconds / more:.3f} CPU-ms and {1024 * mib / more:.2f} KiB per response")


if __name__ == "__main__":
    main()
