"""`make demo`: generates benchmarks, trains a tiny model on a policy, and writes reports and leaderboards.

It runs the commands that a user would type, and prints each of them. All output is written to demo/. If the
demo is interrupted, run it again to resume.
"""

import os
import shlex
import subprocess
import sys
import time
from pathlib import Path

import training

DEMO = Path("demo")
CHAINS, TRAINED, BOARDS = DEMO / "chains", DEMO / "trained", DEMO / "boards"
# The checkpoint in this repository was trained on such scenes, but not on the policies of these benchmarks.
BASE = Path(os.path.relpath(Path(training.__file__).parent / "tiny"))
SMALL = "--depth 2 --policies 1 --width 160 --height 112 --min-objects 2 --max-objects 4"
# ClevrPolicy with all attribute values as text (t) or some as images (m), and GTAPolicy with versioned tools.
BENCHMARKS = {
    "clevr-t": f"clevrpolicy generate {DEMO}/clevr-t --train 480 --test 60 {SMALL}",
    "clevr-m": f"clevrpolicy generate {DEMO}/clevr-m --train 40 --test 40 {SMALL} --visual",
    "gta": f"gtapolicy generate {DEMO}/gta",
}


def main() -> None:
    started = time.monotonic()
    print("1. Generate three benchmarks.")
    for command in BENCHMARKS.values():
        run(*command.split())
    print("\n2. Score three scripted models: oracle is always right; majority and random ignore the prompt.")
    scripted = [score(name, model) for name in BENCHMARKS for model in ("oracle", "majority", "random")]
    print("\n3. Score a tiny model, train it to follow the policy without seeing it, and score it again.")
    before = score("clevr-t", f"hf:{BASE}", "before")
    run("trimpi", "cot", DEMO / "clevr-t", CHAINS)
    data = ("--data", DEMO / "clevr-t", "--cot", CHAINS)
    run("trimpi", "train", "cot-sft", "--scale", "tiny", "--base", BASE, *data, "--out", TRAINED)
    after = score("clevr-t", f"hf:{TRAINED}/cot-sft", "after")
    print("\n4. Show all runs in one table, and compare the model before and after training.")
    runs = [*scripted[:3], before, after, *scripted[3:]]
    run("harness", "report", *runs)
    run("harness", "compare", before, after, "--out", DEMO / "comparison")
    print("\n5. Submit all runs to leaderboards.")
    for folder in runs:
        run("leaderboard", "submit", folder, "--board", BOARDS)
    run("leaderboard", "export", DEMO / "leaderboards", "--board", BOARDS)
    print(f"\nThe demo took {time.monotonic() - started:.0f} s. Open these pages in a browser:")
    pages = ["trained/curves.html", "comparison/compare.html", "leaderboards/index.html"]
    for page in [*(DEMO / page for page in pages), *(folder / "report.html" for folder in runs)]:
        print(f"  {page.resolve().as_uri()}")


def score(benchmark: str, model: str, label: str = "") -> Path:
    """Scores a model on a benchmark of the demo, and returns the folder of the run."""
    out = DEMO / "runs" / f"{benchmark}-{label or model}"
    run("harness", "eval", DEMO / benchmark, "--model", model, "--max-new-tokens", "192", "--out", out)
    return out


def run(*words: str | Path) -> None:
    """Prints a command so that it can be copied, and runs it. If it fails, the demo exits with its code."""
    command = [str(word) for word in words]
    print(f"\n$ {shlex.join(['.venv/bin/' + command[0], *command[1:]])}", flush=True)
    command[0] = str(Path(sys.executable).with_name(command[0]))
    exit_code = subprocess.run(command, check=False).returncode
    if exit_code:
        sys.exit(exit_code)


if __name__ == "__main__":
    main()
