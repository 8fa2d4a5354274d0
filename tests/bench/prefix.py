"""Measures tokens and seconds with and without a cached policy prefix: python tests/bench/prefix.py

64 instances of one policy: first a policy of about 1,340 text tokens, then one with 28 images. Each query
is an image and a question. The model is a random Qwen2.5-VL of 13.5 million parameters, large enough that the
computation takes longer than the Python code. "Seconds in total" includes reading images and 16 tokens per
response.
"""

import random
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from transformers import AutoConfig, AutoModelForImageTextToText

from harness.backends import Sampling
from harness.backends.local.hf import HuggingFace
from harness.records import Part, Prompt
from training.base.model.checkpoint import save_random

INSTANCES = 64
# The fastest repetition is reported, because other work on the machine can only add time.
REPEATS = 2

SAMPLING = Sampling(max_new_tokens=16, batch_size=16)
WIDER = {
    "hidden_size": 384,
    "intermediate_size": 1536,
    "num_hidden_layers": 6,
    "num_attention_heads": 12,
    "num_key_value_heads": 4,
    "layer_types": ["full_attention"] * 6,
}
RULE = (
    "Condition {0}: Is there a cube in the scene? If so, go to Condition {0}.1; else respond with Case {0}. "
)


class Pictures:
    def image(self, path: str) -> Image.Image:
        colors = random.Random(path).randbytes(3 * 6)
        return Image.frombytes("RGB", (3, 2), colors).resize((480, 320), Image.Resampling.NEAREST)


def main() -> None:
    with tempfile.TemporaryDirectory() as folder:
        model = wider(Path(folder) / "model")
        facts = model.description
        print(f"{facts['parameters'] / 1e6:.1f} million parameters, {facts['device']}")
        list(model.generate(make_prompts(text_policy())[:2]))  # the first call is slower than all others
        columns = ("tokens computed", "seconds to first tokens", "seconds in total", "CPU seconds")
        print("| policy | method |", " | ratio | ".join(columns), "| ratio |")
        print("|---|---|" + "---:|" * 2 * len(columns))
        for name, policy in (("text", text_policy()), ("text and 28 images", visual_policy())):
            compare(name, model, make_prompts(policy))


def wider(folder: Path) -> HuggingFace:
    """The tiny checkpoint with more and wider layers."""
    save_random(folder)
    config = AutoConfig.from_pretrained(folder)
    for key, value in WIDER.items():
        setattr(config.text_config, key, value)
    config.vision_config.out_hidden_size = WIDER["hidden_size"]
    torch.manual_seed(0)
    AutoModelForImageTextToText.from_config(config).save_pretrained(folder)
    return HuggingFace(str(folder), Pictures(), SAMPLING)


def text_policy() -> list[Part]:
    return [Part("text", "".join(RULE.format(n) for n in range(1, 62)))]


def visual_policy() -> list[Part]:
    parts = []
    for n in range(1, 29):
        parts += [
            Part("text", RULE.format(n) + "It looks like this: "),
            Part("image", f"policy-{n}.png"),
        ]
    return parts


def make_prompts(policy: Sequence[Part]) -> list[Prompt]:
    question = Part("text", "What is the response to this scene?")
    return [
        Prompt(f"{n}", "in_context", (*policy, Part("image", f"{n}.png"), question)) for n in range(INSTANCES)
    ]


def compare(name: str, model: HuggingFace, prompts: list[Prompt]) -> None:
    """Prints a table row for each method. Exits if their responses differ."""
    methods = {"plain": measure(model, prompts, False), "prefix once": measure(model, prompts, True)}
    expected, plain = methods["plain"]
    for method, (texts, row) in methods.items():
        cells = [f"{round(value, 1):,} | {base / value:.1f}" for value, base in zip(row, plain, strict=True)]
        print(f"| {name} | {method} | {' | '.join(cells)} |")
        if texts != expected:
            sys.exit("the responses differ")


def measure(model: HuggingFace, prompts: list[Prompt], reuse: bool) -> tuple[list[str | None], list[float]]:
    """The texts, and: tokens computed, seconds to the first tokens, seconds in total, CPU seconds."""
    model.prefix_reuse = reuse
    rows = []
    for _ in range(REPEATS):
        wall, cpu = time.perf_counter(), time.process_time()
        responses = sorted(model.generate(prompts), key=lambda response: int(response.instance))
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        tokens = sum((r.prompt_tokens or 0) - (r.cached_tokens or 0) for r in responses)
        first = sum((r.prefill_seconds or 0) / r.batch for r in responses)
        rows.append((tokens, first, wall, cpu))
    return [r.text for r in responses], [min(column) for column in zip(*rows, strict=True)]


if __name__ == "__main__":
    main()
