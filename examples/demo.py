"""The way from nothing to scored benchmarks, by the commands that anyone would type: `make demo`.

Everything lands in demo/. Run again, it goes on with what is there.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
import time
from pathlib import Path

DEMO = Path("demo")
CHECKPOINT = DEMO / "tiny-random"
BOARDS = DEMO / "boards"
SIZE = "--depth 2 --policies 3 --train 40 --test 40 --width 240 --height 160"
BENCHMARKS = {
    "clevr-t": f"clevrpolicy generate {DEMO}/clevr-t {SIZE}",
    "clevr-m": f"clevrpolicy generate {DEMO}/clevr-m {SIZE} --visual",
    "gta": f"gtapolicy generate {DEMO}/gta",
}
"""ClevrPolicy-T writes every value, -M shows some as pictures; GTAPolicy has versioned tools."""
MODELS = {
    "oracle": "",
    "majority": "",
    "random": "",
    # Random weights have nothing to say, so they need not say it at length.
    f"hf:{CHECKPOINT}": "--max-new-tokens 32",
}


def main() -> None:
    started = time.monotonic()
    run(sys.executable, "-m", "training.base", CHECKPOINT, unless=CHECKPOINT / "config.json")
    runs = []
    for name, command in BENCHMARKS.items():
        run(*command.split())
        for model, sampling in MODELS.items():
            out = DEMO / "runs" / f"{name}-{model.partition(':')[0]}"
            run("harness", "eval", DEMO / name, "--model", model, *sampling.split(), "--out", out)
            runs.append(out)
    run("harness", "report", *runs)
    for out in runs:
        run("leaderboard", "submit", out, "--board", BOARDS)
    run("leaderboard", "export", DEMO / "leaderboards", "--board", BOARDS)
    print(f"\nDone in {time.monotonic() - started:.0f} s. The reports, to open in a browser:")
    print(f"  {(DEMO / 'leaderboards' / 'index.html').resolve().as_uri()}")
    for out in runs:
        print(f"  {(out / 'report.html').resolve().as_uri()}")


def run(*words: str | Path, unless: Path | None = None) -> None:
    """Prints a command so that it can be copied, then runs it; ends the demo with its exit code."""
    command = [str(word) for word in words]
    shown = [".venv/bin/python" if command[0] == sys.executable else f".venv/bin/{command[0]}", *command[1:]]
    print(f"\n$ {shlex.join(shown)}", flush=True)
    if unless is not None and unless.exists():
        print(f"{unless.parent} is there already")
        return
    command[0] = str(Path(sys.executable).with_name(Path(command[0]).name))
    done = subprocess.run(command, check=False)
    if done.returncode:
        sys.exit(done.returncode)


if __name__ == "__main__":
    main()
