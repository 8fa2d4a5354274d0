"""Tokens encoded and seconds with and without the reuse of a policy's prefix: python tests/bench/prefix.py

64 instances of one policy of about 2,000 tokens, once in words alone and once with 28 images among them; each
query is an image and a question. The model is a random Qwen2.5-VL of 14 million parameters, so that computing
counts for more than Python does. "In all" has reading and preparing images in it, and 16 tokens a response.
"""

from __future__ import annotations

import random
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import torch
from PIL import Image
from transformers import AutoConfig, AutoModelForImageTextToText

from harness.backends import Sampling
from harness.backends.hf import HuggingFace
from harness.records import Part, Prompt, Response
from training.base import save_random

INSTANCES = 64
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
        print(
            f"{model.description['parameters'] / 1e6:.1f} million parameters, {model.description['device']}"
        )
        ask(model, prompts(text_policy())[:2])  # what the first pass alone takes
        print("| policy | way | tokens encoded | ratio | seconds to first tokens | ratio | in all | ratio |")
        print("|---|---|---:|---:|---:|---:|---:|---:|")
        for name, policy in (("text", text_policy()), ("text and 28 images", visual_policy())):
            compare(name, model, prompts(policy))


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


def prompts(policy: Sequence[Part]) -> list[Prompt]:
    question = Part("text", "What is the response to this scene?")
    return [
        Prompt(f"{n}", "in_context", (*policy, Part("image", f"{n}.png"), question)) for n in range(INSTANCES)
    ]


def compare(name: str, model: HuggingFace, asked: list[Prompt]) -> None:
    texts, figures = [], []
    for reuse in (False, True):
        model.prefix_reuse = reuse
        started = time.perf_counter()
        responses = ask(model, asked)
        figures.append((*encoded(responses), time.perf_counter() - started))
        texts.append([response.text for response in responses])
    for way, row in zip(("plain", "prefix once"), figures, strict=True):
        cells = [f"{value:,.1f} | {of / value:.1f}" for value, of in zip(row, figures[0], strict=True)]
        print(f"| {name} | {way} | {' | '.join(cells)} |")
    differ = sum(a != b for a, b in zip(*texts, strict=True))
    print(f"prompts of {responses[0].prompt_tokens} tokens; {differ} of {INSTANCES} responses differ")


def ask(model: HuggingFace, asked: list[Prompt]) -> list[Response]:
    return sorted(model.generate(asked), key=lambda response: int(response.instance))


def encoded(responses: list[Response]) -> tuple[int, float]:
    """Tokens encoded, and seconds to the first token of each batch."""
    tokens = sum((r.prompt_tokens or 0) - (r.cached_tokens or 0) for r in responses)
    return tokens, sum((r.prefill_seconds or 0) / r.batch for r in responses)


if __name__ == "__main__":
    main()
