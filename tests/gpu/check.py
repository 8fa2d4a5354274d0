"""Runs the steps of check.sh, each in a process with a time limit, and stores what it returns.

    OUT/results.json    step -> its figures, or why it has none; steps without figures run again next time
    OUT/dry-run.json    the same of a dry run
    OUT/STEP.log        what it printed

A step is a module beside this file. Its last line on standard output is a JSON object.
"""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).parent
MINUTES = float(os.environ.get("MINUTES", 12))
STAGES = ("vm-cpt", "cot-sft", "rl", "rl-poro")
# Arguments -> limit in seconds, in the order of what is most worth knowing.
STEPS = {
    ("bench",): 120,
    ("egl",): 60,
    ("answers", "hf"): 120,
    ("answers", "vllm"): 150,
    ("colocate",): 150,
    **{("stage", "3B", stage): 90 for stage in STAGES},
    **{("stage", "7B", stage): 150 for stage in STAGES},
    ("base",): 200,
}


def main() -> None:
    out, dry = Path(sys.argv[1]).resolve(), "--dry-run" in sys.argv
    out.mkdir(parents=True, exist_ok=True)
    # Otherwise the processes of a step would survive this one.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    file, start = out / ("dry-run.json" if dry else "results.json"), time.monotonic()
    results = json.loads(file.read_text()) if file.exists() else {}
    for step, limit in STEPS.items():
        name = "-".join(step)
        if results.get(name, {}).get("ok"):
            continue
        remaining = 60 * MINUTES - (time.monotonic() - start)
        if remaining < 30 and not dry:
            results[name] = {"ok": False, "reason": f"not started: {MINUTES:g} minutes are over"}
        else:
            results[name] = run(step, out, None if dry else min(limit, remaining), dry)
        print(name, json.dumps(results[name]), flush=True)
        partial = file.with_suffix(".new")
        partial.write_text(json.dumps(results, indent=1))
        partial.replace(file)
    sys.exit(not all(result["ok"] for result in results.values()))


def run(step: tuple[str, ...], out: Path, limit: float | None, dry: bool) -> dict[str, object]:
    """The figures of a step, or the reason why there are none."""
    module, *arguments = step
    command = [sys.executable, str(HERE / f"{module}.py"), str(out), *arguments]
    environment = os.environ | ({"DRY_RUN": "1"} if dry else {})
    start = time.monotonic()
    file = out / f"{'-'.join(step)}.log"
    with (
        file.open("w") as log,
        subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            env=environment,
            start_new_session=True,
        ) as process,
    ):
        try:
            output, _ = process.communicate(timeout=limit)
        except BaseException as error:
            # The processes that the step started would keep the GPU's memory.
            os.killpg(process.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            return {"ok": False, "reason": f"not finished after {limit:.0f} seconds"}
    seconds = round(time.monotonic() - start, 1)
    lines = output.splitlines()
    if process.returncode or not lines:
        last = file.read_text(errors="replace").strip().rpartition("\n")[2]
        reason = f"exit status {process.returncode}: {last[:300]}"
        return {"ok": False, "reason": reason, "seconds": seconds}
    return {"ok": True, "seconds": seconds} | json.loads(lines[-1])


if __name__ == "__main__":
    main()
