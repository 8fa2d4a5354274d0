"""The benchmark of all other steps, and its chains: brought along, or rendered here if it is missing."""

import json
import sys
from pathlib import Path

from commands import run

FLAGS = "--depth 4 --policies 1 --train 32 --test 24 --min-objects 2 --max-objects 4".split()

out = Path(sys.argv[1])
# Both do nothing if their folder is complete.
run("clevrpolicy", "generate", out / "bench", *FLAGS)
run("training", "cot", out / "bench", out / "chains")
print(json.dumps({"manifest": json.loads((out / "bench" / "manifest.json").read_text())["digest"]}))
