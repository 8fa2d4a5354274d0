"""From nothing to a model that knows a policy by heart, by the commands that anyone would type: `make demo`.

Everything lands in demo/. Run again, it goes on with what is there.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from pathlib import Path

import training

DEMO = Path("demo")
BASE = Path(training.__file__).parent / "tiny"
"""The checkpoint that comes with the project: it sees such scenes, and has never seen these policies."""
SMALL = "--depth 2 --policies 1 --width 160 --height 112 --min-objects 2 --max-objects 4"
BENCHMARKS = {
    "clevr-t": f"clevrpolicy generate {DEMO}/clevr-t --train 480 --test 60 {SMALL}",
    "clevr-m": f"clevrpolicy generate {DEMO}/clevr-m --train 40 --test 40 {SMALL} --visual",
    "gta": f"gtapolicy generate {DEMO}/gta",
}
"""ClevrPolicy-T writes every value, -M shows some as pictures; GTAPolicy has versioned tools."""
CHAINS, TRAINED = DEMO / "chains", DEMO / "trained"
BOARDS = DEMO / "boards"


def main() -> None:
    started = time.monotonic()
    for command in BENCHMARKS.values():
        run(*command.split())
    scored = [score(name, model) for name in BENCHMARKS for model in ("oracle", "majority", "random")]
    scored.insert(3, score("clevr-t", f"hf:{BASE}", "before"))
    run("trimpi", "cot", DEMO / "clevr-t", CHAINS)
    data = ["--data", DEMO / "clevr-t", "--cot", CHAINS]
    run("trimpi", "train", "cot-sft", "--scale", "tiny", "--base", BASE, *data, "--out", TRAINED)
    scored.insert(4, score("clevr-t", f"hf:{TRAINED}/cot-sft", "after"))
    run("harness", "report", *scored)
    run("harness", "compare", scored[3], scored[4], "--out", DEMO / "comparison")
    for out in scored:
        run("leaderboard", "submit", out, "--board", BOARDS)
    run("leaderboard", "export", DEMO / "leaderboards", "--board", BOARDS)
    print(f"\nDone in {time.monotonic() - started:.0f} s. To open in a browser:")
    pages = [
        TRAINED / "curves.html",
        DEMO / "comparison" / "compare.html",
        DEMO / "leaderboards" / "index.html",
    ]
    for page in [*pages, *(out / "report.html" for out in scored)]:
        print(f"  {page.resolve().as_uri()}")


def score(name: str, model: str, called: str = "") -> Path:
    """Scores a model on a benchmark of the demo; the run's folder."""
    out = DEMO / "runs" / f"{name}-{called or model}"
    run("harness", "eval", DEMO / name, "--model", model, "--max-new-tokens", "192", "--out", out)
    return out


def run(*words: str | Path) -> None:
    """Prints a command so that it can be copied, then runs it; ends the demo with its exit code."""
    command = [str(word) for word in words]
    print(f"\n$ {shlex.join(['.venv/bin/' + command[0], *command[1:]])}", flush=True)
    command[0] = str(Path(sys.executable).with_name(command[0]))
    done = subprocess.run(command, check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
