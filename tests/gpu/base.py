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
losses = [entry for entry in entries if entry.get("loss") is not None]
print(
    json.dumps(
        {"entries": len(entries), "first": losses[0], "last": losses[-1], "skills": entries[-1]["skills"]}
    )
)
