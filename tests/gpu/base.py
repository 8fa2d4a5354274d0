"""Two minutes of the base model's GPU preset: examples per second, and the loss."""

import json
import os
import sys
from pathlib import Path

from commands import run

out = Path(sys.argv[1]) / "base-training"
dry = "DRY_RUN" in os.environ
FLAGS = (
    "--preset cpu --minutes 0.3 --scenes 600 --crops 1 --workers 2"
    if dry
    else f"--preset gpu --minutes 2 --scenes 1000 --crops 2 --workers {os.cpu_count()}"
)
run("training", "base", out, *FLAGS.split())
entries = [json.loads(line) for line in (out / "log.jsonl").read_text().splitlines()]
# On a slow machine the time is over before the first loss is logged.
losses = [entry["loss"] for entry in entries if entry.get("loss") is not None]
print(
    json.dumps(
        {
            "updates": entries[-1]["step"],
            "seconds": entries[-1]["seconds"],
            "first_and_last_loss": losses[:1] + losses[1:][-1:],
            "skills": next((e["skills"] for e in reversed(entries) if e.get("skills")), None),
        }
    )
)
