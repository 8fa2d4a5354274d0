"""training/tiny in bfloat16, by hf or vLLM on this GPU, compared with float32 on the CPU.

In a dry run bfloat16 runs on the CPU too.
"""

import importlib.util
import json
import os
import sys
from pathlib import Path

import torch
from commands import run

from harness.backends.local.checkpoint import load_checkpoint
from harness.files import store
from harness.files.kinds import RESPONSES
from harness.records import Response

TINY = Path("training/tiny")
LIMIT = "3" if "DRY_RUN" in os.environ else "24"
FLAGS = f"--limit {LIMIT} --variants internalized,in_context --max-new-tokens 192 --no-batch-check".split()

out, backend = Path(sys.argv[1]), sys.argv[2]


def bfloat16_copy() -> Path:
    folder = out / "tiny-bfloat16"
    if not folder.exists():
        model, processor = load_checkpoint(str(TINY), torch.device("cpu"))
        model.bfloat16().save_pretrained(folder)
        processor.save_pretrained(folder)
    return folder


def answers(model: str, folder: str, **environment: str) -> tuple[dict[object, str | None], float]:
    """The texts of a run by prompt, and the accuracy with the policy in context."""
    run("harness", "eval", out / "bench", "--model", model, "--out", out / folder, *FLAGS, **environment)
    report = json.loads((out / folder / "report.json").read_text())
    accuracy = next(
        row["mean"]
        for row in report["rows"]
        if (row["metric"], row["variant"], row.get("group", "")) == ("accuracy", "in_context", "")
    )
    return {r.key: r.text for r in store.read_lines(out / folder / RESPONSES, Response)}, accuracy


if backend == "vllm" and importlib.util.find_spec("vllm") is None:
    print(json.dumps({"skipped": "vLLM is not installed"}))
    sys.exit()
expected, cpu_accuracy = answers(f"hf:{TINY}", "answers-cpu", CUDA_VISIBLE_DEVICES="")
got, accuracy = answers(f"{backend}:{bfloat16_copy()}", f"answers-{backend}")
same = sum(got[key] == text for key, text in expected.items()) / len(expected)
print(
    json.dumps(
        {
            "same_texts": round(same, 3),
            "accuracy_cpu": cpu_accuracy,
            "accuracy": accuracy,
            "prompts": len(expected),
        }
    )
)
